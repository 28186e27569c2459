"""Settings: what is wrong is named, what is secret is not shown, and where values come from."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from datasets.storage import BucketAddress
from tvproject.env import SETTINGS, SettingsError, read_settings

BASE_DIR = Path(__file__).parents[2]
SECRETS = [name for name, setting in SETTINGS.items() if setting.is_secret]

Read = Callable[..., dict[str, Any]]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Return a function that reads settings from these variables and no others."""
    with mock.patch.dict(os.environ, clear=True):

        def read(**variables: str) -> dict[str, Any]:
            os.environ.update(variables)
            return read_settings(tmp_path)

        yield read


def test_nothing_has_to_be_set(read: Read) -> None:
    assert read() == {name: setting.default for name, setting in SETTINGS.items()}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("TV_SOURCE", "sample", "sample"),
        ("TV_SITE_URL", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("TV_TIMEOUT_S", "0.5", 0.5),
        ("TV_MAX_BARS", "40000", 40000),
        ("TV_RATE_PER_MINUTE", "0", 0),
        ("TV_ENABLED", "0", False),
        ("DEBUG", "True", True),
        ("CELERY_BROKER_URL", "filesystem://", "filesystem://"),
        ("CELERY_BROKER_URL", "amqp://guest:guest@localhost//", "amqp://guest:guest@localhost//"),
        ("DATABASE_URL", "sqlite:////tmp/x.sqlite3", "sqlite:////tmp/x.sqlite3"),
        ("DATABASE_POOLING", "transaction", "transaction"),
        ("CELERY_QUEUE_TYPE", "quorum", "quorum"),
        ("OUTPUTS_URL", "file:///data", Path("/data")),
        ("OUTPUTS_URL", "data", Path("data").absolute()),
        ("OUTPUTS_URL", "s3://bars/team/a/", BucketAddress("bars", "team/a")),
        ("STORE_CHECK_S", "0.5", 0.5),
        ("SITE_URL", "https://bars.example.com/", "https://bars.example.com"),
        ("ALLOWED_HOSTS", "a.example, b.example,", ["a.example", "b.example"]),
        ("INCIDENT_MAIL_TO", "a@b.example, c@d.example", ["a@b.example", "c@d.example"]),
        ("PORT", " 9000 ", 9000),
        ("PORT", "", 8000),
    ],
)
def test_a_right_value_is_read(read: Read, name: str, text: str, value: Any) -> None:
    assert read(**{name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TV_SOURCE", "Sample"),
        ("TV_WS_URL", "https://data.tradingview.com"),
        ("TV_WS_URL", "wss://"),
        ("TV_WS_URL", "wss://data.tradingview.com:99999/"),
        ("TV_SITE_URL", "www.tradingview.com"),
        ("TV_TIMEOUT_S", "0"),
        ("TV_TIMEOUT_S", "nan"),
        ("TV_DEADLINE_S", "2m"),
        ("TV_MAX_BARS", "0"),
        ("TV_MAX_BARS", "5e3"),
        ("TV_RATE_PER_MINUTE", "-1"),
        ("TV_ENABLED", "yes"),
        ("API_ACCESS", "closed"),
        ("OUTPUTS_URL", "s3://Bucket/prefix"),
        ("STORE_CHECK_S", "-1"),
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000"),
        ("STATE_DIR", "file://host/folder"),
        ("PORT", "70000"),
        ("PORT", "http"),
        ("SITE_URL", "bars.example.com"),
        ("SITE_URL", "https://bars.example.com/charts"),
        ("INCIDENT_MAIL_TO", "a@b.example; c@d.example"),
        ("EMAIL_FROM", "Ada <a@b.example>\nBcc: x@y.example"),
        ("EMAIL_SECURITY", "ssl"),
        ("WEB_WORKERS", "0"),
        ("TV_USERNAME", "two\nlines"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(read: Read, name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{name: text})

    assert str(caught.value) == f"{name} is {text!r}; allowed is {SETTINGS[name].allowed}."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TV_PASSWORD", "hunter2\x00"),
        ("SECRET_KEY", "hunter2\n2"),
        ("DATABASE_URL", "mysql://bars:hunter2@localhost/bars"),
        ("DATABASE_URL", "postgres://bars:a#hunter2@localhost/bars"),
        ("CACHE_URL", "memcached://:hunter2@localhost"),
    ],
)
def test_a_wrong_secret_is_named_and_not_shown(tmp_path: Path, name: str, text: str) -> None:
    # Variables cannot hold every character, files can.
    (tmp_path / "secret").write_text(text)

    with (
        mock.patch.dict(os.environ, {f"{name}_FILE": str(tmp_path / "secret")}, clear=True),
        pytest.raises(SettingsError) as caught,
    ):
        read_settings(tmp_path)

    assert str(caught.value) == f"{name} is wrong; allowed is {SETTINGS[name].allowed}."


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_can_come_from_a_file(read: Read, tmp_path: Path, name: str) -> None:
    value = "redis://:hunter2@localhost" if name.endswith("_URL") else "hunter2"
    value = {
        "DATABASE_URL": "sqlite:///hunter2",
        "INCIDENT_WEBHOOK_URL": "https://alerts.example.com/hunter2",
        "METRICS_TOKEN": "hunter2-hunter2-hunter2",
    }.get(name, value)
    (tmp_path / "secret").write_text(f"{value}\n")

    assert read(**{f"{name}_FILE": str(tmp_path / "secret")})[name] == value


def test_a_secret_file_that_cannot_be_read_is_named(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"TV_PASSWORD_FILE names .*/none.*No such file"):
        read(TV_PASSWORD_FILE=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TV_FOO", "docs/settings.md"),
        ("TV_PASWORD", "did you mean TV_PASSWORD?"),
        ("TV_MAX_BARS_FILE", "did you mean TV_MAX_BARS?"),
        ("API_ACESS", "did you mean API_ACCESS?"),
        ("API_FETCH_PER_MINUTE", "did you mean API_FETCHES_PER_MINUTE?"),
    ],
)
def test_an_unknown_name_is_refused(read: Read, name: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not a setting.*{hint}"):
        read(**{name: "1"})


@pytest.mark.parametrize("name", ["TVX", "TV", "API", "API_KEY", "API_ACCESS_KEY", "API_ADDRESS"])
def test_the_names_of_other_programs_are_left_alone(read: Read, name: str) -> None:
    assert read(**{name: "1"})["API_ACCESS"] == "open"


def test_a_file_named_env_is_read_and_the_environment_wins(read: Read, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('TV_MAX_BARS=100\nTV_BURST=7\nTV_USERNAME="a b"\n')

    settings = read(TV_BURST="9")

    assert (settings["TV_MAX_BARS"], settings["TV_BURST"]) == (100, 9)
    assert settings["TV_USERNAME"] == "a b"


def django_settings(*names: str, **variables: str) -> list[str]:
    """Return `repr` of Django's settings in a process with these variables."""
    code = f"from tvproject import settings\nfor n in {names}: print(repr(getattr(settings, n)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


HTTPS_SETTINGS = (
    "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT",
    "SECURE_HSTS_SECONDS", "SECURE_PROXY_SSL_HEADER", "CSRF_TRUSTED_ORIGINS",
)  # fmt: skip


def test_plain_http_on_this_machine_needs_no_https() -> None:
    assert django_settings(*HTTPS_SETTINGS, PORT="8123") == [
        "False", "False", "False", "0", "None", "['http://127.0.0.1:8123']",
    ]  # fmt: skip


def test_an_https_address_turns_on_what_belongs_to_it() -> None:
    assert django_settings(*HTTPS_SETTINGS, SITE_URL="https://bars.example.com") == [
        "True", "True", "True", "2592000", "('HTTP_X_FORWARDED_PROTO', 'https')",
        "['https://bars.example.com']",
    ]  # fmt: skip


def test_this_machines_own_names_are_always_allowed() -> None:
    (hosts,) = django_settings(
        "ALLOWED_HOSTS", SITE_URL="https://bars.example.com", ALLOWED_HOSTS="bars.internal"
    )

    assert set(ast.literal_eval(hosts)) == {
        "127.0.0.1", "localhost", "[::1]", "bars.example.com", "bars.internal",
    }  # fmt: skip


def test_a_made_up_secret_key_is_kept_and_private(tmp_path: Path) -> None:
    first = django_settings("SECRET_KEY", STATE_DIR=str(tmp_path))
    second = django_settings("SECRET_KEY", STATE_DIR=str(tmp_path))

    assert first == second
    assert len(first[0]) > 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=BASE_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tvproject.settings",
            "OUTPUTS_URL": f"{tmp_path}/file/outputs",
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("OUTPUTS_URL or STATE_DIR: ")


@pytest.mark.parametrize("left", [b"", bytes(67), b"abc"], ids=["empty", "zeros", "cut off"])
def test_a_secret_key_that_a_power_cut_has_spoilt_is_made_again_once_for_all(
    tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "secret_key").write_bytes(left)

    with ThreadPoolExecutor(3) as pool:
        keys = set(
            pool.map(lambda _: django_settings("SECRET_KEY", STATE_DIR=str(tmp_path))[0], range(3))
        )

    assert {key.strip("'") for key in keys} == {(tmp_path / "secret_key").read_text()}
    assert len(keys.pop()) >= 50
