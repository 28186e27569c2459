"""Django's settings, from the table in `env.py`; docs/settings.md explains each variable."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ
from corsheaders.defaults import default_headers
from filelock import FileLock
from redis.backoff import NoBackoff
from redis.retry import Retry

from tvproject import postgresql
from tvproject.durable import write_durably
from tvproject.env import SettingsError, folders, read_settings
from tvproject.privacy import make_private

BASE_DIR = Path(__file__).resolve().parents[1]
ENV = read_settings(BASE_DIR)

# The version has one home: the newest heading of the changelog.
VERSION = re.search(r"^## v(\S+)", (BASE_DIR / "CHANGELOG.md").read_text(), re.M)[1]  # type: ignore[index]

# --- Where things are kept ---------------------------------------------------------------

OUTPUTS_DIR, STATE_DIR = folders(ENV, BASE_DIR)
try:
    for folder in (OUTPUTS_DIR, STATE_DIR):
        folder.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise SettingsError(
        f"OUTPUTS_URL or STATE_DIR: {error.filename} cannot be made: {error.strerror}."
    ) from None


def _kept_secret_key() -> str:
    """Return the key kept in the state folder, made on first use; sessions survive a restart."""
    path = STATE_DIR / "secret_key"
    if key := _secret_key_in(path):
        return key
    # One process makes it for all.
    with FileLock(STATE_DIR / ".secret_key.lock"):
        key = _secret_key_in(path)
        if not key:
            key = secrets.token_urlsafe(50)
            write_durably(path, key, mode=0o600)
    return key


def _secret_key_in(path: Path) -> str:
    """Return the key in a file; "" where there is none, or only what a power cut has left."""
    try:
        key = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""
    return key if len(key) >= 50 and key.isprintable() else ""


SECRET_KEY: str = ENV["SECRET_KEY"] or _kept_secret_key()
DEBUG: bool = ENV["DEBUG"]
DEFAULT_EXCEPTION_REPORTER = "tvproject.error_reports.SecretsReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "tvproject.error_reports.SecretsFilter"

# --- The address it is reached at --------------------------------------------------------

SITE_URL: str = ENV["SITE_URL"] or f"http://127.0.0.1:{ENV['PORT']}"
_site = urlsplit(SITE_URL)
# This machine's own names always work: a health check asks by them.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", str(_site.hostname), *ENV["ALLOWED_HOSTS"]]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

# A proxy that ends https stands in front. None of this on plain http://127.0.0.1, where a
# browser would keep the cookies to itself and remember to insist on https.
_is_https = _site.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _is_https
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if _is_https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _is_https else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
# Other names below the same domain are not ours to promise https for.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# --- TradingView -------------------------------------------------------------------------

# `auto` is resolved by `make run`, which knows whether it started the sample feed.
TV_SOURCE: str = "tradingview" if ENV["TV_SOURCE"] == "auto" else ENV["TV_SOURCE"]
TV_WS_URL: str = ENV["TV_WS_URL"]
TV_SITE_URL: str = ENV["TV_SITE_URL"].rstrip("/")
TV_SEARCH_URL: str = ENV["TV_SEARCH_URL"].rstrip("/")
TV_USERNAME: str = ENV["TV_USERNAME"]
TV_PASSWORD: str = ENV["TV_PASSWORD"]
TV_SESSION: str = ENV["TV_SESSION"]
TV_SESSION_SIGN: str = ENV["TV_SESSION_SIGN"]
TV_USER_ID: str = ENV["TV_USER_ID"]
TV_AUTH_TOKEN: str = ENV["TV_AUTH_TOKEN"]
TV_TIMEOUT_S: float = ENV["TV_TIMEOUT_S"]
TV_DEADLINE_S: float = ENV["TV_DEADLINE_S"]
TV_MAX_BARS: int = ENV["TV_MAX_BARS"]
TV_RATE_PER_MINUTE: int = ENV["TV_RATE_PER_MINUTE"]
TV_BURST: int = ENV["TV_BURST"]
TV_CACHE_TTL_S: int = ENV["TV_CACHE_TTL_S"]
TV_ENABLED: bool = ENV["TV_ENABLED"]

# --- Django ------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "datasets",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "datasets.api.reply_pieces.send_in_pieces",
    "datasets.middleware.limit_query",
    "datasets.middleware.content_security_policy",
    "datasets.middleware.connection_given_back",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "datasets.middleware.LoginWall",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tvproject.urls"
WSGI_APPLICATION = "tvproject.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# For /admin alone: the API has no trailing slashes, and answers 404 for what it does not know.
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "datasets.views.feed",
            ],
        },
    },
]

# Every time is UTC. A correctness setting: Django puts TIME_ZONE into the process's TZ.
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-us"
USE_I18N = False
# As in the API, and the same for every reader.
FORMAT_MODULE_PATH = "tvproject.formats"

# --- Database ----------------------------------------------------------------------------


def _database() -> dict[str, Any]:
    url = ENV["DATABASE_URL"] or "sqlite://"
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if url.startswith("sqlite:"):
        # Not as an address's query is read, where `+` means a space.
        path = unquote(urlsplit(url).path.removeprefix("/"))
        config["NAME"] = path or str(STATE_DIR / "catalog.sqlite3")
    given = config.get("OPTIONS", {})
    config["CONN_HEALTH_CHECKS"] = True
    if config["ENGINE"].endswith("postgresql"):
        config["OPTIONS"] = postgresql.options(ENV["WEB_WORKERS"]) | given
        # They go back to the pool.
        config["CONN_MAX_AGE"] = 0
    else:
        # A connection for each request would cost more than the request's one query.
        config["CONN_MAX_AGE"] = 60
        config["OPTIONS"] = {
            # Web processes and workers write side by side: readers never wait in WAL, and
            # a writer takes its lock at BEGIN and waits for it, instead of failing half-way.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            **given,
        }
    return config


DATABASES = {"default": _database()}
make_private(
    STATE_DIR,
    STATE_DIR / "calls.sqlite3",
    *(Path(each["NAME"]) for each in DATABASES.values() if each["ENGINE"].endswith("sqlite3")),
)

# --- Cache -------------------------------------------------------------------------------


def _cache(name: str) -> dict[str, Any]:
    if ENV["CACHE_URL"]:
        return {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": ENV["CACHE_URL"],
            "KEY_PREFIX": name,
            # Version 0.3.0 kept pickles; nothing reads those any more.
            "VERSION": 2,
            "OPTIONS": {
                "serializer": "tvproject.json_cache.JsonSerializer",
                # Without a limit a server that hangs is waited for by the minute. Once more,
                # where its restart has cut the connection.
                "socket_timeout": 3,
                "socket_connect_timeout": 3,
                "retry": Retry(NoBackoff(), 1),
            },
        }
    # On disk, because web processes and workers share what is in it.
    return {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(STATE_DIR / name),
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }


# The counts of requests apart from the rest: a flood of clients would push out what must stay.
CACHES = {"default": _cache("cache"), "counts": _cache("counts")}

# --- Celery ------------------------------------------------------------------------------

CELERY_BROKER_URL: str = ENV["CELERY_BROKER_URL"]
CELERY_TASK_IGNORE_RESULT = True  # the `Fetch` row is the result
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# A fetch mostly waits for the network, and a pool of processes dies with one of them; see docs/decisions/0010.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY: int = ENV["WORKER_PROCESSES"]
# A message only wakes a thread, and is done with when it has: the row knows what is to be done.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # until the broker is back
CELERY_BROKER_CONNECTION_TIMEOUT = 4  # seconds
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = "fetches"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if CELERY_BROKER_URL.startswith(("redis://", "rediss://")):
    # Seconds. Without them a server that hangs is waited for until it is back.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 4, "socket_timeout": 10}
if CELERY_BROKER_URL.startswith("filesystem://"):
    # Services of different sources may share a folder; neither takes the other's messages.
    _broker = STATE_DIR / ("broker" if TV_SOURCE == "tradingview" else f"broker-{TV_SOURCE}")
    _broker.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker),
        # Seconds. Kombu's default of 1 would be most of a small fetch.
        "polling_interval": 0.02,
    }
    # Broadcasts between workers would be files that nobody removes.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False

# --- Static files ------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "static"]
# The chart library comes from npm at install time; nothing of it is committed.
_charts = BASE_DIR / "node_modules" / "lightweight-charts" / "dist"
if _charts.is_dir():
    STATICFILES_DIRS.append(("lightweight-charts", _charts))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Collected, and compressed, by `make run`. Straight from the folders above while developing,
# and where nothing has been collected. Not both: the uncompressed file would win.
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = DEBUG or not any(STATIC_ROOT.iterdir())

# --- API ---------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # First, because the first one decides that a stranger gets 401 and not 403.
        "datasets.api.authentication.BearerAuthentication",
        "datasets.api.authentication.CountedBasicAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["datasets.api.throttling.ReadThrottle"],
    "DEFAULT_PARSER_CLASSES": ["datasets.api.parsers.BoundedJSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["datasets.api.access.ApiAccess"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "datasets.api.schema.DocumentedSchema",
    "EXCEPTION_HANDLER": "datasets.api.exceptions.problem_response",
    "URL_FORMAT_OVERRIDE": None,
    "NON_FIELD_ERRORS_KEY": "request",
}
API_ACCESS: str = ENV["API_ACCESS"]
API_READS_PER_MINUTE: int = ENV["API_READS_PER_MINUTE"]
API_FETCHES_PER_MINUTE: int = ENV["API_FETCHES_PER_MINUTE"]
API_SIGN_INS_PER_MINUTE: int = ENV["API_SIGN_INS_PER_MINUTE"]
MAX_QUEUED: int = ENV["MAX_QUEUED"]
MAX_QUEUED_PER_CLIENT: int = ENV["MAX_QUEUED_PER_CLIENT"]
TRUSTED_PROXIES: int = ENV["TRUSTED_PROXIES"]
X_ACCEL_PREFIX: str = ENV["X_ACCEL_PREFIX"]

# Pages of other hosts may call the API with a token, never with somebody's session.
CORS_ALLOWED_ORIGINS: list[str] = ENV["CORS_ALLOWED_ORIGINS"]
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "if-range", "range"]
CORS_EXPOSE_HEADERS = [
    "Cache-Status",
    "Content-Disposition",
    "Content-Range",
    "Covers-Start",
    "ETag",
    "Held-From",
    "Held-Through",
    "Location",
    "Retry-After",
]
if CORS_ALLOWED_ORIGINS:
    # Early, so that errors carry its headers too.
    MIDDLEWARE.insert(1, "corsheaders.middleware.CorsMiddleware")
WEB_THREADS: int = ENV["WEB_THREADS"]
WEB_READER_TIMEOUT_S: int = ENV["WEB_READER_TIMEOUT_S"]
WEB_CACHE_MB: int = ENV["WEB_CACHE_MB"]
WEB_CACHE_DISK_MB: int = ENV["WEB_CACHE_DISK_MB"]
# What the web server's own thread tries to answer. A view there must not wait: it hands over.
ANSWERED_AT_ONCE = ["/api/tv/ohlc", "/healthz"]
# What threads of its own answer: it may wait, and it must not wait for the pages.
ANSWERED_APART = ["/readyz"]

SPECTACULAR_SETTINGS = {
    "TITLE": "TradingView dataset service",
    "DESCRIPTION": (
        "TradingView bars, fetched once and kept. Times are ISO 8601 in UTC and mark a bar's opening instant. "
        "Errors are RFC 9457 problem+json with a stable `code`."
    ),
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["datasets.api.access.ApiAccess"],
    "SCHEMA_PATH_PREFIX": "/api/tv",
    # The pages of the documentation come from a package, not from another host.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "DatasetState": "datasets.models.Dataset.State",
        "FetchState": "datasets.models.Fetch.State",
    },
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "chart"
LOGOUT_REDIRECT_URL = "chart"
CSRF_FAILURE_VIEW = "datasets.views.error_pages.csrf_failure"

# --- Logging -----------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "tvproject.secrecy.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "filters": {
        "not named yet": {"()": "datasets.api.failure_log.NotNamedYet"},
        "outages": {
            "()": "django.utils.log.CallbackFilter",
            "callback": "ext://datasets.outages.in_one_line",
        },
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # Its messages are about what we have replaced; our own errors say what happened.
        "tvDatafeed": {"level": "CRITICAL"},
        "django.server": {"level": "WARNING"},
        "django.request": {"filters": ["not named yet", "outages"]},
        # A line for each task received and done; the `Fetch` rows say the same and more.
        "celery": {"level": "WARNING"},
        # It warns that a broker of files has no host.
        "kombu": {"level": "ERROR"},
    },
}
