"""Price alerts: conditions on the prices of a series, checked when bars arrive."""

from datasets.alerts.alert_changes import (
    MOST_ALERTS,
    alerts_of,
    change_alert,
    create_alert,
    delete_alert,
)
from datasets.alerts.closed_checks import check_closed
from datasets.alerts.forming_checks import check_forming

__all__ = [
    "MOST_ALERTS",
    "alerts_of",
    "change_alert",
    "check_closed",
    "check_forming",
    "create_alert",
    "delete_alert",
]
