"""Indexes for the orders of the admin's lists, and for the order in which datasets are pruned."""

import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0023_source_of_fetches'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(django.db.models.functions.comparison.Greatest(models.F('fetched_at'), django.db.models.functions.comparison.Coalesce(models.F('last_served_at'), models.F('fetched_at'))), models.F('id'), name='dataset_last_used'),
        ),
        migrations.AddIndex(
            model_name='incident',
            index=models.Index(fields=['-opened_at', '-id'], name='incident_opened'),
        ),
        migrations.AddIndex(
            model_name='incidentmessage',
            index=models.Index(fields=['-created_at', '-id'], name='message_created'),
        ),
        migrations.AddIndex(
            model_name='schedule',
            index=models.Index(fields=['exchange', 'symbol', 'id'], name='schedule_exchange'),
        ),
        migrations.AddIndex(
            model_name='schedule',
            index=models.Index(fields=['symbol', 'exchange', 'id'], name='schedule_symbol'),
        ),
        migrations.AddIndex(
            model_name='schedule',
            index=models.Index(fields=['due_at', 'id'], name='schedule_due_at'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['exchange', 'id'], name='series_by_exchange'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['timeframe', 'id'], name='series_by_timeframe'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['last_time', 'id'], name='series_last_time'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['bytes', 'id'], name='series_bytes'),
        ),
    ]
