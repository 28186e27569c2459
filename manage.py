#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    """Run one management command; a wrong setting is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from tvproject.env import SettingsError

    try:
        settings.DEBUG  # noqa: B018 - loads the settings
    except SettingsError as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
