#!/usr/bin/env python
"""Django's command line."""

import os
import sys
from pathlib import Path


def take_source_of_running_service() -> None:
    """Fetch from the source of the service that runs on this folder, unless `TV_SOURCE` names one."""
    from tvproject.announcements import running_sources
    from tvproject.env import folders, read_settings

    base_dir = Path(__file__).resolve().parent
    settings = read_settings(base_dir)
    if os.environ.get("TV_SOURCE", "").strip() in ("", "auto"):
        sources = running_sources(folders(settings, base_dir).state)
        if len(sources) == 1:
            os.environ["TV_SOURCE"] = sources.pop()


def main() -> None:
    """Run one management command; a wrong setting is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from tvproject.env import SettingsError

    try:
        if sys.argv[1:2] == ["fetch"]:
            take_source_of_running_service()
        settings.DEBUG  # noqa: B018 - loads the settings
    except SettingsError as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
