"""Size and modification time of a dataset's file become one opaque version, as an object of a bucket has it."""

from typing import Any

from django.db import migrations, models
from django.db.models import F, Value
from django.db.models.functions import Cast, Concat


def convert(apps: Any, schema_editor: Any) -> None:
    text = models.CharField(max_length=128)
    # One statement, which also a large catalog takes in seconds.
    apps.get_model("datasets", "Dataset").objects.update(
        version=Concat(Cast(F("bytes"), text), Value("-"), Cast(F("modified_ns"), text))
    )


class Migration(migrations.Migration):
    dependencies = [("datasets", "0020_large_lists")]

    operations = [
        migrations.AddField(
            "dataset",
            "version",
            models.CharField(
                default="",
                max_length=128,
                help_text="The version of the file, an opaque text of the store.",
            ),
            preserve_default=False,
        ),
        migrations.RunPython(convert),
        migrations.RemoveField("dataset", "modified_ns"),
    ]
