"""Indexes for long lists; with PostgreSQL also for the search and for orders by more than one column."""

import django.utils.timezone
from django.contrib.postgres.operations import TrigramExtension
from django.db import DatabaseError, migrations, models

# Each is the text that `datasets.models.search_text` composes; only PostgreSQL has such indexes.
_NAMED = """(UPPER((exchange || E'\\n' || symbol || E'\\n' || COALESCE(instrument ->> 'description', ''))::text) gin_trgm_ops)"""
_POSTGRESQL = {
    "dataset_search": f"datasets_dataset USING gin {_NAMED}",
    "series_search": f"datasets_series USING gin {_NAMED}",
    "fetch_search": "datasets_fetch USING gin "
    """(UPPER((exchange || E'\\n' || symbol || E'\\n' || requested_by)::text) gin_trgm_ops)""",
    "audit_search": "datasets_auditentry USING gin "
    """(UPPER((actor || E'\\n' || kind || E'\\n' || subject || E'\\n' || detail)::text) gin_trgm_ops)""",
    # The order by the length of the bars, of `lists.by_length`.
    "dataset_length": "datasets_dataset ((CASE "
    + " ".join(
        f"WHEN timeframe = '{timeframe}' THEN {place}"
        for place, timeframe in enumerate(
            ("1", "3", "5", "15", "30", "45", "1h", "2h", "3h", "4h", "1D", "1W", "1M")
        )
    )
    + " ELSE NULL END), id)",
    # The order by quality of `views.dataset_list`.
    "dataset_quality": "datasets_dataset ((n_duplicates + n_inconsistent), "
    "(CASE WHEN doubts = '{}'::jsonb THEN 0 ELSE 1 END), "
    "(CASE WHEN is_limited AND n_rows < n_bars THEN 1 ELSE 0 END), "
    "(CASE WHEN (coverage -> 'counts') ?| ARRAY['session_missing', 'hole', 'window_slid'] THEN 1 ELSE 0 END), id)",
    # The filter by the findings of gap reports.
    "dataset_findings": "datasets_dataset USING gin ((coverage -> 'counts'))",
}


class Trigrams(TrigramExtension):
    """The extension `pg_trgm`, which PostgreSQL brings along; nothing with SQLite."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        except DatabaseError as error:
            raise DatabaseError(
                "The database lacks the extension pg_trgm, which searches need, and this user may not create it. "
                "Run `CREATE EXTENSION pg_trgm` in this database as its owner or a superuser, then migrate again. "
                f"PostgreSQL says: {str(error).strip()}"
            ) from error


def make_indexes(apps, schema_editor):
    """Make the indexes that only PostgreSQL has."""
    if schema_editor.connection.vendor == "postgresql":
        for name, rest in _POSTGRESQL.items():
            schema_editor.execute(f"CREATE INDEX {name} ON {rest}")


def drop_indexes(apps, schema_editor):
    """Drop the indexes that only PostgreSQL has."""
    if schema_editor.connection.vendor == "postgresql":
        for name in _POSTGRESQL:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0019_content_index'),
    ]

    operations = [
        Trigrams(),
        migrations.RemoveIndex(
            model_name='dataset',
            name='dataset_exchange',
        ),
        migrations.RemoveIndex(
            model_name='dataset',
            name='dataset_state',
        ),
        migrations.AlterField(
            model_name='auditentry',
            name='at',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='UTC.'),
        ),
        migrations.AlterField(
            model_name='fetch',
            name='requested_at',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='UTC.'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['-at', '-id'], name='audit_at'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['action', '-at', '-id'], name='audit_action'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['symbol', 'exchange', 'id'], name='dataset_symbol'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['n_rows', 'id'], name='dataset_n_rows'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['bytes', 'id'], name='dataset_bytes'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['hits', 'id'], name='dataset_hits'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['exchange', '-fetched_at', '-id'], name='dataset_exchange'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['exchange', 'id'], name='dataset_by_exchange'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['timeframe', '-fetched_at', '-id'], name='dataset_timeframe'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['timeframe', 'id'], name='dataset_by_timeframe'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['state', '-fetched_at', '-id'], name='dataset_state'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['state', 'id'], name='dataset_by_state'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['n_bars', '-fetched_at', '-id'], name='dataset_n_bars'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(condition=models.Q(('is_pinned', True)), fields=['-fetched_at', '-id'], name='dataset_pinned'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(condition=models.Q(('session', 'regular'), _negated=True), fields=['session', '-fetched_at', '-id'], name='dataset_session'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(condition=models.Q(('adjustment', 'splits'), _negated=True), fields=['adjustment', '-fetched_at', '-id'], name='dataset_adjustment'),
        ),
        migrations.AddIndex(
            model_name='fetch',
            index=models.Index(fields=['-requested_at', '-id'], name='fetch_requested'),
        ),
        migrations.AddIndex(
            model_name='fetch',
            index=models.Index(fields=['state', '-requested_at', '-id'], name='fetch_state'),
        ),
        migrations.AddIndex(
            model_name='fetch',
            index=models.Index(fields=['exchange', '-requested_at', '-id'], name='fetch_exchange'),
        ),
        migrations.AddIndex(
            model_name='fetch',
            index=models.Index(fields=['exchange', 'id'], name='fetch_by_exchange'),
        ),
        migrations.AddIndex(
            model_name='fetch',
            index=models.Index(fields=['symbol', 'exchange', 'id'], name='fetch_symbol'),
        ),
        migrations.AddIndex(
            model_name='fetch',
            index=models.Index(fields=['error_code', '-requested_at', '-id'], name='fetch_error'),
        ),
        migrations.AddIndex(
            model_name='fetch',
            index=models.Index(fields=['requested_via', '-requested_at', '-id'], name='fetch_via'),
        ),
        migrations.AddIndex(
            model_name='revision',
            index=models.Index(fields=['-found_at', '-id'], name='revision_found'),
        ),
        migrations.AddIndex(
            model_name='revision',
            index=models.Index(fields=['series', '-found_at', '-id'], name='revision_series'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['symbol', 'exchange', 'id'], name='series_symbol'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['exchange', '-fetched_at', '-id'], name='series_exchange'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['n_rows', 'id'], name='series_n_rows'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['kind', '-at', '-id'], name='audit_kind'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['via', '-at', '-id'], name='audit_via'),
        ),
        migrations.RunPython(make_indexes, drop_indexes),
    ]
