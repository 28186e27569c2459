"""Every error that this project raises on purpose, as one tree.

* DatasetsError
  x InvalidRequest               the caller can correct it; `errors` names each wrong field
  x NotFound                     the catalog has no such dataset or fetch
    + DatasetNotFound            no file holds the bars that a study asked for
      - FolderUnavailable        · retryable; also a StoreUnavailable
      - BarNotFound              the archive of the series has never had this bar
  x ChangedMeanwhile             what the caller replaces has changed since it was read
  x Disabled                     the operator has turned fetching and the API off
  x Refused                      the caller may not do it, or not now
    + Forbidden
    + TooManyRequests            · retryable within a minute
    + Busy                       · retryable within seconds
    + QueueFull                  · retryable when some fetches have ended
  x FetchError                   one fetch failed; `code` is on its row and in the reply
    + SymbolNotFound             · permanent
    + NoData                     · permanent
    + NotPermitted               · permanent
    + TimeframeUnavailable       · permanent
    + SignInError
      - AuthFailed               · permanent; an operator must act
      - AuthCaptcha              · permanent; an operator must act
      - AuthTwoFactor            · permanent; an operator must act
      - AuthExpired              · permanent; an operator must act
    + RateLimited                · retryable after a cool-down of all workers
    + FeedTimeout                · retryable
    + FeedUnreachable            · retryable
    + FeedClosed                 · retryable
    + FeedProtocol               · permanent; our code does not understand the reply
    + BadBars                    · permanent; the reply is kept for the operator
      - WrongBars                · permanent; the reply is kept for the operator
      - BarsChanged              · retryable; the reply is kept for the operator
    + StoreFailed                · permanent; an operator must act
    + WorkerLost                 · retryable; workers died during the fetch
    + FetchCancelled             · retryable; a person took the fetch out of the queue
    + Unavailable                · retryable; one of our servers or disks does not work
      - DatabaseUnavailable
      - CacheUnavailable
      - StateUnavailable
      - StoreUnavailable         · the disk with the datasets is not mounted, or the bucket is away
        · ObjectChanged          · another process wrote the object of a bucket meanwhile
  x BackupFailed                 a backup was not made or not restored; only commands raise it
  x StoreError                   · retryable; one of our files is unreadable, a new fetch repairs it
    + FileMissing
    + FileCorrupt
    + LockMismatch               a dataset differs from the one in a study's lock file
  x NotCurrent                   · retryable; closed bars are missing; only the loader raises it
  x ServiceFailed                the loader got no usable reply from the service
  x ReplyTooLarge                a reply to an assistant is too long; only its server raises it

`code` is stable: it is in the replies of the API, on the `Fetch` row and in docs/api.md.
`retryable` tells whether the same request can succeed later without an operator's help.
`api/exceptions.py` decides the HTTP status of each error, `fetching/tasks.py` the retries.
"""

from datasets.errors.caller_errors import (
    BarNotFound,
    Busy,
    ChangedMeanwhile,
    DatasetNotFound,
    Disabled,
    Forbidden,
    InvalidRequest,
    NotFound,
    QueueFull,
    Refused,
    TooManyRequests,
)
from datasets.errors.fetch_errors import (
    AuthCaptcha,
    AuthExpired,
    AuthFailed,
    AuthTwoFactor,
    BadBars,
    BarsChanged,
    FeedClosed,
    FeedProtocol,
    FeedTimeout,
    FeedUnreachable,
    FetchCancelled,
    FetchError,
    NoData,
    NotPermitted,
    RateLimited,
    SignInError,
    StoreFailed,
    SymbolNotFound,
    TimeframeUnavailable,
    WorkerLost,
    WrongBars,
)
from datasets.errors.file_errors import (
    BackupFailed,
    FileCorrupt,
    FileMissing,
    LockMismatch,
    StoreError,
)
from datasets.errors.loader_errors import NotCurrent, ReplyTooLarge, ServiceFailed
from datasets.errors.outage_errors import (
    CacheUnavailable,
    DatabaseUnavailable,
    FolderUnavailable,
    ObjectChanged,
    StateUnavailable,
    StoreUnavailable,
    Unavailable,
)
from datasets.errors.root_error import DatasetsError

__all__ = [
    "AuthCaptcha",
    "AuthExpired",
    "AuthFailed",
    "AuthTwoFactor",
    "BackupFailed",
    "BadBars",
    "BarNotFound",
    "BarsChanged",
    "Busy",
    "ChangedMeanwhile",
    "CacheUnavailable",
    "DatabaseUnavailable",
    "DatasetNotFound",
    "DatasetsError",
    "Disabled",
    "FeedClosed",
    "FeedProtocol",
    "FeedTimeout",
    "FeedUnreachable",
    "FetchCancelled",
    "FetchError",
    "FileCorrupt",
    "FileMissing",
    "FolderUnavailable",
    "Forbidden",
    "InvalidRequest",
    "LockMismatch",
    "NoData",
    "NotCurrent",
    "NotFound",
    "NotPermitted",
    "ObjectChanged",
    "QueueFull",
    "RateLimited",
    "Refused",
    "ReplyTooLarge",
    "ServiceFailed",
    "SignInError",
    "StateUnavailable",
    "StoreError",
    "StoreFailed",
    "StoreUnavailable",
    "SymbolNotFound",
    "TimeframeUnavailable",
    "TooManyRequests",
    "Unavailable",
    "WorkerLost",
    "WrongBars",
    "all_codes",
]


def all_codes() -> dict[str, type[DatasetsError]]:
    """Map every stable code to its class, for the documentation and the tests."""
    found: dict[str, type[DatasetsError]] = {}
    pending: list[type[DatasetsError]] = [DatasetsError]
    while pending:
        error = pending.pop()
        pending.extend(error.__subclasses__())
        # A subclass without its own code inherits the code of its parent, which stands first.
        found.setdefault(error.code, error)
    return found
