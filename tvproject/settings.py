"""Django's settings, from the table in `env.py`; docs/settings.md explains each variable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tvproject import log_format
from tvproject.api_settings import (  # noqa: F401 - Django reads them here
    CORS_ALLOW_HEADERS,
    CORS_EXPOSE_HEADERS,
    REST_FRAMEWORK,
    api_documentation,
)
from tvproject.backends import broker, cache, database
from tvproject.env import SettingsError, read_settings
from tvproject.output_places import places
from tvproject.privacy import make_private
from tvproject.secret_key import kept_secret_key

BASE_DIR = Path(__file__).resolve().parents[1]
ENV = read_settings(BASE_DIR)

# Read from the newest heading of the changelog, the only place that states the version.
VERSION = re.search(r"^## v(\S+)", (BASE_DIR / "CHANGELOG.md").read_text(), re.M)[1]  # type: ignore[index]

# --- Folders -----------------------------------------------------------------------------

OUTPUTS_DIR, STATE_DIR, OUTPUTS_BUCKET = places(ENV, BASE_DIR)
STORE_CHECK_S: float = ENV["STORE_CHECK_S"]
STORE_CACHE_MB: int = ENV["STORE_CACHE_MB"]
try:
    for folder in (OUTPUTS_DIR, STATE_DIR):
        folder.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise SettingsError(
        f"OUTPUTS_URL or STATE_DIR: {error.filename} cannot be created: {error.strerror}."
    ) from None

SECRET_KEY: str = ENV["SECRET_KEY"] or kept_secret_key(STATE_DIR)
DEBUG: bool = ENV["DEBUG"]
DEFAULT_EXCEPTION_REPORTER = "tvproject.error_reports.SecretsReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "tvproject.error_reports.SecretsFilter"

# --- Address -----------------------------------------------------------------------------

SITE_URL: str = ENV["SITE_URL"] or f"http://127.0.0.1:{ENV['PORT']}"
_site = urlsplit(SITE_URL)
# This machine's own names are always allowed: health checks use them.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", str(_site.hostname), *ENV["ALLOWED_HOSTS"]]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

# With https, a proxy in front ends the encryption. On plain http://127.0.0.1 these settings stay
# off: a browser would not send the cookies, and would insist on https from then on.
_is_https = _site.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _is_https
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if _is_https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _is_https else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
# HSTS must not cover other names of the same domain: they may not serve https.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# --- TradingView -------------------------------------------------------------------------

# `make run` resolves `auto`; without `make run`, `auto` means TradingView.
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
TV_LIVE: bool = ENV["TV_LIVE"]
TV_LIVE_SERIES: int = ENV["TV_LIVE_SERIES"]
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
    # First, because it takes a token out of the path.
    "datasets.udf.path_tokens.speak_udf",
    "datasets.middleware.identify_request",
    "datasets.middleware.count_replies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "datasets.api.reply_pieces.send_in_pieces",
    "datasets.middleware.limit_query",
    "datasets.api.busy_threads.leave_a_thread",
    "datasets.api.busy_threads.read_body",
    "datasets.middleware.distrust_after_changes",
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
# Used by /admin only: the API has no trailing slashes and answers unknown addresses with 404.
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

# Every instant is UTC. Django also copies TIME_ZONE into the process's TZ, so another zone
# would shift naive times.
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-us"
USE_I18N = False
# Times look as in the API, the same for every reader.
FORMAT_MODULE_PATH = "tvproject.formats"

# --- Database ----------------------------------------------------------------------------

DATABASES = {
    "default": database(
        ENV["DATABASE_URL"],
        STATE_DIR,
        n_web_processes=ENV["WEB_WORKERS"],
        is_pooled=ENV["DATABASE_POOLING"] == "transaction",
    )
}
make_private(
    STATE_DIR,
    STATE_DIR / "calls.sqlite3",
    *(Path(each["NAME"]) for each in DATABASES.values() if each["ENGINE"].endswith("sqlite3")),
)

# --- Cache -------------------------------------------------------------------------------

# Counts of requests have a cache of their own: a flood of clients would evict other entries.
CACHES = {
    "default": cache(ENV["CACHE_URL"], STATE_DIR, "cache"),
    "counts": cache(ENV["CACHE_URL"], STATE_DIR, "counts"),
}

# --- Celery ------------------------------------------------------------------------------

CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = broker(
    ENV["CELERY_BROKER_URL"], STATE_DIR, TV_SOURCE
)
CELERY_TASK_IGNORE_RESULT = True  # the `Fetch` row is the result
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# Threads, because a fetch mostly waits for the network, and because a pool of processes dies with
# one of its processes; see docs/decisions/0010.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY: int = ENV["WORKER_PROCESSES"]
# Acknowledged early: a message only wakes a thread, and the fetch itself is stored in its row.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # until the broker is back
CELERY_BROKER_CONNECTION_TIMEOUT = 4  # seconds
CELERY_TIMEZONE = "UTC"
CELERY_TASK_DEFAULT_QUEUE = "fetches"
if ENV["CELERY_QUEUE_TYPE"] == "quorum":
    # RabbitMQ keeps such a queue on several of its hosts. A name of its own: RabbitMQ refuses to
    # change the type of a queue that exists.
    CELERY_TASK_DEFAULT_QUEUE = "fetches-quorum"
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic"
if ENV["CELERY_BROKER_URL"].startswith("filesystem://"):
    # Broadcasts between workers would leave files that no process removes.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False

# --- Static files ------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "static"]
# npm installs the chart library; its files are not committed.
_charts = BASE_DIR / "node_modules" / "lightweight-charts" / "dist"
if _charts.is_dir():
    STATICFILES_DIRS.append(("lightweight-charts", _charts))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# `make run` collects and compresses the files. Without collected files, and with DEBUG, WhiteNoise
# serves the folders above; never both, because the uncompressed file would win.
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = DEBUG or not any(STATIC_ROOT.iterdir())

# --- API ---------------------------------------------------------------------------------

API_ACCESS: str = ENV["API_ACCESS"]
API_READS_PER_MINUTE: int = ENV["API_READS_PER_MINUTE"]
API_FETCHES_PER_MINUTE: int = ENV["API_FETCHES_PER_MINUTE"]
API_FETCHES_PER_DAY: int = ENV["API_FETCHES_PER_DAY"]
API_SIGN_INS_PER_MINUTE: int = ENV["API_SIGN_INS_PER_MINUTE"]
MAX_QUEUED: int = ENV["MAX_QUEUED"]
MAX_QUEUED_PER_CLIENT: int = ENV["MAX_QUEUED_PER_CLIENT"]
TRUSTED_PROXIES: int = ENV["TRUSTED_PROXIES"]
X_ACCEL_EXPIRES_S: int = ENV["X_ACCEL_EXPIRES_S"]
X_ACCEL_PREFIX: str = ENV["X_ACCEL_PREFIX"]

# Pages of other hosts may call the API with a token, but never with a user's session.
CORS_ALLOWED_ORIGINS: list[str] = ENV["CORS_ALLOWED_ORIGINS"]
CORS_URLS_REGEX = r"^/(api|udf)/|^/widgets\.json$"
if CORS_ALLOWED_ORIGINS:
    # Near the top, so that error replies have the CORS headers too; below the request's id, which they have as well.
    MIDDLEWARE.insert(3, "corsheaders.middleware.CorsMiddleware")
WEB_TRUST_MS: int = ENV["WEB_TRUST_MS"]
WEB_THREADS: int = ENV["WEB_THREADS"]
WEB_READER_TIMEOUT_S: int = ENV["WEB_READER_TIMEOUT_S"]
WEB_CACHE_MB: int = ENV["WEB_CACHE_MB"]
WEB_CACHE_DISK_MB: int = ENV["WEB_CACHE_DISK_MB"]

# --- Incidents ---------------------------------------------------------------------------

INCIDENT_FAILURES: int = ENV["INCIDENT_FAILURES"]
INCIDENT_LAG_BARS: int = ENV["INCIDENT_LAG_BARS"]
INCIDENT_WEBHOOK_URL: str = ENV["INCIDENT_WEBHOOK_URL"]
INCIDENT_WEBHOOK_SECRET: str = ENV["INCIDENT_WEBHOOK_SECRET"]
INCIDENT_MAIL_TO: list[str] = ENV["INCIDENT_MAIL_TO"]
# Without a mail server the worker's log shows the mails.
_mailer = "smtp" if ENV["EMAIL_HOST"] else "console"
EMAIL_BACKEND = f"django.core.mail.backends.{_mailer}.EmailBackend"
EMAIL_HOST: str = ENV["EMAIL_HOST"]
EMAIL_PORT: int = ENV["EMAIL_PORT"]
EMAIL_HOST_USER: str = ENV["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD: str = ENV["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = ENV["EMAIL_SECURITY"] == "starttls"
EMAIL_USE_SSL = ENV["EMAIL_SECURITY"] == "tls"
EMAIL_TIMEOUT = 10  # seconds of silence
DEFAULT_FROM_EMAIL: str = ENV["EMAIL_FROM"]

SPECTACULAR_SETTINGS = api_documentation(VERSION)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "chart"
LOGOUT_REDIRECT_URL = "chart"
CSRF_FAILURE_VIEW = "datasets.views.error_pages.csrf_failure"

# --- Operating ---------------------------------------------------------------------------

METRICS_TOKEN: str = ENV["METRICS_TOKEN"]
METRICS_NETWORKS: list[Any] = ENV["METRICS_NETWORKS"]
TIDY_AFTER_DAYS: int = ENV["TIDY_AFTER_DAYS"]
PRUNE_UNUSED_AFTER_DAYS: int = ENV["PRUNE_UNUSED_AFTER_DAYS"]
PRUNE_OVER_MB: int = ENV["PRUNE_OVER_MB"]

# --- Logging -----------------------------------------------------------------------------

LOGGING = log_format.configuration(ENV["LOG_FORMAT"])
