"""The catalog in Django's admin: datasets, series, revisions, fetches, watchlists, workers, calendars, incidents, price alerts, saved layouts, drawings, accounts and the audit.

Django imports this package at start-up; importing the modules registers their pages.
"""

from datasets.admin import site
from datasets.admin.account_admin import RecordedGroupAdmin, RecordedUserAdmin
from datasets.admin.audit_admin import AuditEntryAdmin
from datasets.admin.calendar_admin import CalendarVersionAdmin
from datasets.admin.dataset_admin import DatasetAdmin
from datasets.admin.drawing_admin import SymbolDrawingsAdmin
from datasets.admin.fetch_admin import FetchAdmin
from datasets.admin.incident_admin import IncidentAdmin, IncidentMessageAdmin, PriceAlertAdmin
from datasets.admin.layout_admin import SavedLayoutAdmin
from datasets.admin.revision_admin import RevisionAdmin
from datasets.admin.series_admin import SeriesAdmin
from datasets.admin.token_admin import ApiTokenAdmin
from datasets.admin.watchlist_admin import ScheduleAdmin, WatchlistAdmin
from datasets.admin.worker_admin import LiveConnectionAdmin, LiveSeriesAdmin, WorkerAdmin

__all__ = [
    "ApiTokenAdmin",
    "AuditEntryAdmin",
    "CalendarVersionAdmin",
    "DatasetAdmin",
    "FetchAdmin",
    "IncidentAdmin",
    "IncidentMessageAdmin",
    "LiveConnectionAdmin",
    "LiveSeriesAdmin",
    "PriceAlertAdmin",
    "RecordedGroupAdmin",
    "RecordedUserAdmin",
    "RevisionAdmin",
    "SavedLayoutAdmin",
    "ScheduleAdmin",
    "SeriesAdmin",
    "SymbolDrawingsAdmin",
    "WatchlistAdmin",
    "WorkerAdmin",
    "site",
]
