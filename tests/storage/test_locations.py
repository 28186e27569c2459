"""Service and loader find the same folder, for every spelling and every place of the setting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.research.folders import outputs_folder, state_folder
from datasets.research.service.service_client import local_address
from datasets.storage import locations
from tvproject.env import SETTINGS, SettingsError, read_settings

ROOT = Path(__file__).parents[2]
WRITTEN = {
    "file:///srv/my%20bars": "/srv/my bars",
    "file:/srv/bars": "/srv/bars",
    "file://localhost/srv/bars": "/srv/bars",
    "/srv/my%20bars": "/srv/my%20bars",
    "/srv/a+b": "/srv/a+b",
    "/srv/a?b#c": "/srv/a?b#c",
    "file:///srv/a+b": "/srv/a+b",
    "~/bars": "{home}/bars",
    "bars/x": "{cwd}/bars/x",
    "./bars": "{cwd}/bars",
}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, with a separate project and no setting in the environment."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "cwd", "project"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(locations, "PROJECT", tmp_path / "project")


def service_reads(project: Path) -> Path | None:
    """Return the outputs folder that the service's settings name."""
    before = dict(os.environ)
    try:
        found: Path | None = read_settings(project)["OUTPUTS_URL"]
    finally:
        os.environ.clear()
        os.environ.update(before)
    return found


@pytest.mark.parametrize("text", WRITTEN)
def test_service_and_loader_read_the_outputs_folder_in_the_same_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("OUTPUTS_URL", text)
    wanted = Path(WRITTEN[text].format(home=tmp_path / "home", cwd=tmp_path / "cwd"))

    assert service_reads(tmp_path / "project") == wanted
    assert outputs_folder() == wanted


@pytest.mark.parametrize("text", WRITTEN)
def test_a_folder_named_in_the_projects_env_file_only_is_found_by_both(
    tmp_path: Path, text: str
) -> None:
    project = tmp_path / "project"
    (project / ".env").write_text(f'OUTPUTS_URL="{text}"\n')
    # Relative to the file: service and notebook work in different folders.
    wanted = Path(WRITTEN[text].format(home=tmp_path / "home", cwd=project))

    assert service_reads(project) == wanted
    assert outputs_folder() == wanted


@pytest.mark.parametrize(
    "text", ["s3://Bucket/bars", "http://host/x", "file://host/x", "file:///srv/a?b", "file:bars"]
)
def test_both_refuse_an_address_that_is_no_folder_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("OUTPUTS_URL", text)

    with pytest.raises(SettingsError, match="OUTPUTS_URL is"):
        service_reads(tmp_path / "project")
    with pytest.raises(ValueError, match=r"^"):
        locations.folder_of(text)


def test_the_env_file_of_the_working_folder_comes_before_the_projects(tmp_path: Path) -> None:
    (tmp_path / "project/.env").write_text("OUTPUTS_URL=/srv/project\nPORT=9001\n")
    (tmp_path / "cwd/.env").write_text(
        "# mine\nexport OUTPUTS_URL = '/srv/mine'\nSTATE_DIR=state\n"
    )

    assert outputs_folder() == Path("/srv/mine")
    assert state_folder(outputs_folder()) == tmp_path / "cwd/state"
    assert local_address() == "http://127.0.0.1:9001"


def test_the_environment_wins_and_an_empty_variable_hides_the_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "project/.env").write_text("OUTPUTS_URL=/srv/project\n")

    monkeypatch.setenv("OUTPUTS_URL", "/srv/env")
    assert service_reads(tmp_path / "project") == outputs_folder() == Path("/srv/env")
    monkeypatch.setenv("OUTPUTS_URL", "")
    assert service_reads(tmp_path / "project") is None
    assert outputs_folder().name == "outputs"


def test_a_changed_env_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "project/.env"
    path.write_text("OUTPUTS_URL=/srv/one\n")
    assert outputs_folder() == Path("/srv/one")

    path.write_text("OUTPUTS_URL=/srv/another\n")

    assert outputs_folder() == Path("/srv/another")


def test_the_loader_puts_no_secret_of_an_env_file_into_the_environment(tmp_path: Path) -> None:
    (tmp_path / "project/.env").write_text("OUTPUTS_URL=/srv/bars\nTV_PASSWORD=hunter2\n")

    outputs_folder()

    assert "hunter2" not in os.environ.values()


def test_an_unreadable_line_of_the_env_file_stops_the_start_and_is_not_shown(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("# fine\n\nTV_BURST=3\nTV_PASSWORD hunter2\n")

    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path)

    assert "line 4" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["a+b", "a%20b", "a b", "a#b?c", "ä&ö"])
def test_a_service_starts_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "tvproject.settings"}
    state = tmp_path / name / "state"

    done = subprocess.run(
        # One small app: its migration opens the catalog as all of them would.
        [sys.executable, "manage.py", "migrate", "-v0", "sessions"],
        cwd=ROOT,
        env=env | {"OUTPUTS_URL": str(tmp_path / name)},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (state / "catalog.sqlite3").stat().st_size > 0


def test_a_plus_in_the_address_of_a_sqlite_file_is_a_plus(tmp_path: Path) -> None:
    code = "from tvproject import settings; print(settings.DATABASES['default']['NAME'])"
    env = os.environ | {
        "OUTPUTS_URL": str(tmp_path),
        "DATABASE_URL": "sqlite:////srv/a+b%20c/catalog.sqlite3",
    }

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "/srv/a+b c/catalog.sqlite3"
