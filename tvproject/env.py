"""Table of all settings, and their reading from the environment and `.env`.

A test compares docs/settings.md with the table. The service does not start with a value that
is not allowed, an unknown name that begins with `TV_`, or a misspelled `API_` name.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from datasets.storage import folder_of, location_of, read_env_file


class SettingsError(ImproperlyConfigured):
    """A setting is wrong or unknown; the message is one sentence with the variable and the allowed values."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: its reader, its default, and the description of allowed values."""

    name: str
    read: Callable[[str], Any]
    default: Any
    allowed: str
    is_secret: bool = False


def _text(text: str) -> str:
    if any(ord(char) < 32 for char in text):
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    return {"1": True, "true": True, "0": False, "false": False}[text.lower()]


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        # `float` alone would also accept `1_000` and digits of other scripts.
        if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text):
            raise ValueError(text)
        value = float(text)
        if not lowest <= value <= highest:
            raise ValueError(text)
        return value

    return read


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", text):
            raise ValueError(text)
        value = int(text)
        if not lowest <= value <= highest:
            raise ValueError(text)
        return value

    return read


def _choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return read


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        parts = urlsplit(text)
        needs_host = parts.scheme not in ("sqlite", "filesystem")
        # `parts.port` raises `ValueError` for an impossible port.
        if parts.scheme not in schemes or parts.port == 0 or (needs_host and not parts.hostname):
            raise ValueError(text)
        return text

    return read


def _origin(text: str) -> str:
    parts = urlsplit(_url("http", "https")(text.rstrip("/")))
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        raise ValueError(text)
    return f"{parts.scheme}://{parts.netloc}"


def _origins(text: str) -> list[str]:
    return [_origin(name) for name in _names(text)]


def _long_secret(text: str) -> str:
    if not re.fullmatch(r"[!-~]{16,}", text):
        raise ValueError(text)
    return text


def _networks(text: str) -> list[IPv4Network | IPv6Network]:
    networks = [ip_network(name) for name in _names(text)]
    # A client of IPv6 counts as its network of 64 bits, so a longer one would contain no client.
    if any(network.version == 6 and network.prefixlen > 64 for network in networks):
        raise ValueError(text)
    return networks


def _prefix(text: str) -> str:
    if not re.fullmatch(r"/[\w./-]+/", text):
        raise ValueError(text)
    return text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _mailbox(text: str) -> str:
    if not re.fullmatch(r"[^\s@,<>]+@[^\s@,<>]+", text):
        raise ValueError(text)
    return text


def _mailboxes(text: str) -> list[str]:
    return [_mailbox(name) for name in _names(text)]


SETTINGS = {
    setting.name: setting
    for setting in [
        Setting("TV_USERNAME", _text, "", "a TradingView user name"),
        Setting("TV_PASSWORD", _text, "", "that account's password", is_secret=True),
        Setting("TV_SESSION", _text, "", "the cookie `sessionid`", is_secret=True),
        Setting("TV_SESSION_SIGN", _text, "", "the cookie `sessionid_sign`", is_secret=True),
        Setting("TV_USER_ID", _text, "", "the account's number or name"),
        Setting("TV_AUTH_TOKEN", _text, "", "a ready token", is_secret=True),
        Setting("TV_SOURCE", _choice("auto", "tradingview", "sample"), "tradingview", "auto, tradingview or sample"),
        Setting("TV_WS_URL", _url("ws", "wss"), "wss://data.tradingview.com/socket.io/websocket", "a ws:// or wss:// address"),
        Setting("TV_SITE_URL", _url("http", "https"), "https://www.tradingview.com", "an http:// or https:// address"),
        Setting("TV_SEARCH_URL", _url("http", "https"), "https://symbol-search.tradingview.com", "an http:// or https:// address"),
        Setting("TV_TIMEOUT_S", _number(0.1, 3600), 20.0, "seconds from 0.1 to 3600"),
        Setting("TV_DEADLINE_S", _number(0.1, 86400), 120.0, "seconds from 0.1 to 86400"),
        Setting("TV_MAX_BARS", _whole(1, 1_000_000), 5000, "a whole number from 1 to 1000000"),
        Setting("TV_RATE_PER_MINUTE", _whole(0, 6000), 20, "a whole number from 0 (no limit) to 6000"),
        Setting("TV_BURST", _whole(1, 1000), 3, "a whole number from 1 to 1000"),
        Setting("TV_CACHE_TTL_S", _whole(0, 10**9), 0, "whole seconds, 0 for never"),
        Setting("TV_LIVE", _boolean, False, "1 or 0"),
        Setting("TV_LIVE_SERIES", _whole(1, 40), 20, "a whole number from 1 to 40"),
        Setting("TV_ENABLED", _boolean, True, "1 or 0"),
        Setting("API_ACCESS", _choice("open", "login"), "open", "open or login"),
        Setting("API_READS_PER_MINUTE", _whole(0, 10**6), 6000, "a whole number from 0 (no limit) to 1000000"),
        Setting("API_FETCHES_PER_MINUTE", _whole(0, 10**6), 120, "a whole number from 0 (no limit) to 1000000"),
        Setting("API_FETCHES_PER_DAY", _whole(0, 10**6), 0, "a whole number from 0 (no limit) to 1000000"),
        Setting("API_SIGN_INS_PER_MINUTE", _whole(0, 10**6), 10, "a whole number from 0 (no limit) to 1000000"),
        Setting("MAX_QUEUED", _whole(0, 10**6), 10_000, "a whole number from 0 (no limit) to 1000000"),
        Setting("MAX_QUEUED_PER_CLIENT", _whole(0, 10**6), 1000, "a whole number from 0 (no limit) to 1000000"),
        Setting("INCIDENT_FAILURES", _whole(0, 1000), 3, "a whole number from 0 (never) to 1000"),
        Setting("INCIDENT_LAG_BARS", _whole(0, 10**6), 10, "a whole number from 0 (never) to 1000000"),
        Setting("INCIDENT_WEBHOOK_URL", _url("http", "https"), "", "an http:// or https:// address", is_secret=True),
        Setting("INCIDENT_WEBHOOK_SECRET", _text, "", "sixteen or more random characters", is_secret=True),
        Setting("INCIDENT_MAIL_TO", _mailboxes, [], "mail addresses, separated by commas"),
        Setting("EMAIL_HOST", _text, "", "the name of a mail server"),
        Setting("EMAIL_PORT", _whole(1, 65535), 587, "a port from 1 to 65535"),
        Setting("EMAIL_HOST_USER", _text, "", "a user of the mail server"),
        Setting("EMAIL_HOST_PASSWORD", _text, "", "that user's password", is_secret=True),
        Setting("EMAIL_SECURITY", _choice("starttls", "tls", "none"), "starttls", "starttls, tls or none"),
        Setting("EMAIL_FROM", _mailbox, "datasets@localhost", "a mail address"),
        Setting("CORS_ALLOWED_ORIGINS", _origins, [], "addresses such as https://app.example.com, separated by commas"),
        Setting("X_ACCEL_EXPIRES_S", _whole(0, 60), 1, "whole seconds from 0 (none) to 60"),
        Setting("X_ACCEL_PREFIX", _prefix, "", "a path such as /stored/"),
        Setting("TRUSTED_PROXIES", _whole(0, 10), 0, "a whole number from 0 to 10"),
        Setting("DATABASE_URL", _url("sqlite", "postgres", "postgresql"), "", "sqlite:///… or postgres://…", is_secret=True),
        Setting("DATABASE_POOLING", _choice("none", "transaction"), "none", "none or transaction"),
        Setting("CELERY_BROKER_URL", _url("filesystem", "redis", "rediss", "amqp", "amqps"), "filesystem://", "filesystem://, redis://… or amqp://…", is_secret=True),
        Setting("CELERY_QUEUE_TYPE", _choice("classic", "quorum"), "classic", "classic or quorum"),
        Setting("CACHE_URL", _url("redis", "rediss"), "", "redis://…", is_secret=True),
        Setting("OUTPUTS_URL", location_of, None, "a folder, file:///folder or s3://bucket/prefix"),
        Setting("STORE_CHECK_S", _number(0, 3600), 10.0, "seconds from 0 to 3600"),
        Setting("STORE_CACHE_MB", _whole(16, 1048576), 2048, "a whole number from 16 to 1048576"),
        Setting("AWS_ENDPOINT_URL", _url("http", "https"), "", "an http:// or https:// address"),
        Setting("AWS_REGION", _text, "", "a region of the S3 server"),
        Setting("AWS_ACCESS_KEY_ID", _text, "", "the name of a key"),
        Setting("AWS_SECRET_ACCESS_KEY", _text, "", "the secret of that key", is_secret=True),
        Setting("AWS_SESSION_TOKEN", _text, "", "the token of a temporary key", is_secret=True),
        Setting("STATE_DIR", folder_of, None, "a folder on this machine"),
        Setting("SECRET_KEY", _text, "", "fifty or more random characters", is_secret=True),
        Setting("DEBUG", _boolean, False, "1 or 0"),
        Setting("ALLOWED_HOSTS", _names, [], "host names, separated by commas"),
        Setting("PORT", _whole(1, 65535), 8000, "a port from 1 to 65535"),
        Setting("SITE_URL", _origin, "", "http://host or https://host, without a path"),
        Setting("WEB_WORKERS", _whole(1, 64), 2, "a whole number from 1 to 64"),
        Setting("WEB_THREADS", _whole(2, 1024), 32, "a whole number from 2 to 1024"),
        Setting("WEB_TRUST_MS", _whole(0, 60_000), 250, "whole milliseconds from 0 (none) to 60000"),
        Setting("WEB_READER_TIMEOUT_S", _whole(1, 3600), 30, "whole seconds from 1 to 3600"),
        Setting("WEB_CACHE_MB", _whole(1, 65536), 64, "a whole number from 1 to 65536"),
        Setting("WEB_CACHE_DISK_MB", _whole(0, 1048576), 1024, "a whole number from 0 (none) to 1048576"),
        Setting("WORKER_PROCESSES", _whole(1, 64), 2, "a whole number from 1 to 64"),
        Setting("METRICS_TOKEN", _long_secret, "", "sixteen or more characters without spaces", is_secret=True),
        Setting("METRICS_NETWORKS", _networks, [], "networks such as 10.0.0.0/8, separated by commas; of IPv6 at most 64 bits long"),
        Setting("TIDY_AFTER_DAYS", _whole(0, 36500), 0, "whole days from 1 to 36500, 0 for never"),
        Setting("PRUNE_UNUSED_AFTER_DAYS", _whole(0, 36500), 0, "whole days from 1 to 36500, 0 for never"),
        Setting("PRUNE_OVER_MB", _whole(0, 10**9), 0, "a whole number from 0 (no limit) to 1000000000"),
        Setting("LOG_FORMAT", _choice("text", "json"), "text", "text or json"),
        Setting("ADMIN_PASSWORD", _text, "", "the first admin's password", is_secret=True),
    ]
}  # fmt: skip


def read_settings(base_dir: Path) -> dict[str, Any]:
    """Return the value of every setting; raise `SettingsError` for a wrong or unknown one.

    The environment has precedence over `.env`. The variable `NAME_FILE` may name a file that
    holds the secret `NAME`, as container secrets do.
    """
    for name, text in _env_file(base_dir / ".env").items():
        os.environ.setdefault(name, text)
    _refuse_unknown(os.environ)
    values = {name: _value(setting, os.environ) for name, setting in SETTINGS.items()}
    if values["AWS_SECRET_ACCESS_KEY"]:
        # The client of the bucket reads the variable, which `AWS_SECRET_ACCESS_KEY_FILE` can stand for.
        os.environ["AWS_SECRET_ACCESS_KEY"] = values["AWS_SECRET_ACCESS_KEY"]
    return values


def _env_file(path: Path) -> Mapping[str, str]:
    try:
        found = read_env_file(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    if found.unreadable_lines:
        # Only the line's number is shown: the line may hold a secret.
        raise SettingsError(
            f"{path}, line {found.unreadable_lines[0]}: write NAME=value, or # before a comment."
        )
    return found.variables


def _refuse_unknown(variables: Mapping[str, str]) -> None:
    for name in variables:
        # Other programs use names such as API_KEY too, but a misspelled API_ACESS=login must stop
        # the start: otherwise the API would be open to everyone.
        likeness = {"TV": 0.6, "API": 0.9}.get(name.partition("_")[0])
        secret = SETTINGS.get(name.removesuffix("_FILE"))
        is_known = name in SETTINGS or (secret is not None and secret.is_secret)
        if likeness is None or is_known:
            continue
        close = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=likeness)
        if close or name.startswith("TV_"):
            hint = f"; did you mean {close[0]}?" if close else "; docs/settings.md lists them all."
            raise SettingsError(f"{name} is not a setting{hint}")


def _value(setting: Setting, variables: Mapping[str, str]) -> Any:
    text = variables.get(setting.name, "").strip()
    file_name = variables.get(f"{setting.name}_FILE", "") if setting.is_secret else ""
    if file_name and not text:
        try:
            text = Path(file_name).read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"{setting.name}_FILE names {file_name}, which cannot be read: {error.strerror}."
            ) from None
    if not text:
        return setting.default
    try:
        return setting.read(text)
    except (ValueError, KeyError):
        shown = "wrong" if setting.is_secret else repr(text)
        raise SettingsError(f"{setting.name} is {shown}; allowed is {setting.allowed}.") from None
