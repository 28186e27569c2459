"""The tables: series, revisions, datasets, calendars, fetches, watchlists, schedules, live bars, alerts, saved layouts, drawings, workers, the sign-in and API tokens."""

from datasets.models.alerts.price_alert import MOST_NOTE, PriceAlert
from datasets.models.api_token import NOTED_FOR, ApiToken, hash_secret, in_ninety_days
from datasets.models.audit_entry import AuditEntry
from datasets.models.calendar_version import CalendarVersion
from datasets.models.charts.saved_layout import SavedLayout
from datasets.models.charts.symbol_drawings import SymbolDrawings
from datasets.models.daily_fetches import DailyFetches
from datasets.models.dataset import LAST_USED, Dataset
from datasets.models.dataset_gaps import DatasetGaps
from datasets.models.fetch import Fetch
from datasets.models.incident import Incident, IncidentMessage
from datasets.models.key_columns import KeyedModel
from datasets.models.live.live_series import LiveConnection, LiveSeries
from datasets.models.revision import Revision
from datasets.models.schedule import Schedule
from datasets.models.search_text import rows_with_word, values_of
from datasets.models.series import Series
from datasets.models.sign_in_state import SignIn
from datasets.models.watchlist import WatchedSymbol, Watchlist
from datasets.models.worker import Worker

# Migration 0002 takes `in_ninety_days` from here.
__all__ = [
    "ApiToken",
    "AuditEntry",
    "CalendarVersion",
    "DailyFetches",
    "Dataset",
    "DatasetGaps",
    "Fetch",
    "Incident",
    "IncidentMessage",
    "KeyedModel",
    "LAST_USED",
    "LiveConnection",
    "LiveSeries",
    "MOST_NOTE",
    "NOTED_FOR",
    "PriceAlert",
    "Revision",
    "SavedLayout",
    "Schedule",
    "Series",
    "SignIn",
    "SymbolDrawings",
    "WatchedSymbol",
    "Watchlist",
    "Worker",
    "hash_secret",
    "in_ninety_days",
    "rows_with_word",
    "values_of",
]
