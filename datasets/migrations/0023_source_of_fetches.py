"""An index for the filter of the fetches by source."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("datasets", "0022_live_bars")]

    operations = [
        migrations.AddIndex(
            "fetch",
            models.Index(fields=["source", "-requested_at", "-id"], name="fetch_source"),
        ),
    ]
