from typing import Any

from django.conf import settings
from django.db import migrations


def set_aside(apps: Any, schema_editor: Any) -> None:
    """Move the files of invalidated datasets, which version 0.3.0 left where the loader reads them."""
    rows = apps.get_model("datasets", "Dataset").objects.filter(state="invalidated")
    for path in rows.values_list("path", flat=True):
        source = settings.OUTPUTS_DIR / "datasets" / path
        target = settings.OUTPUTS_DIR / "invalidated" / path
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)


class Migration(migrations.Migration):
    dependencies = [("datasets", "0005_longer_paths")]

    operations = [migrations.RunPython(set_aside, migrations.RunPython.noop)]
