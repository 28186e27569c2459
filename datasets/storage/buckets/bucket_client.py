"""Client of an S3 server: one for each process and bucket, bounded in time, with named errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from obstore import exceptions
from obstore.store import S3Store

from datasets.errors import FileMissing, ObjectChanged, StoreFailed, StoreUnavailable
from datasets.storage.buckets.bucket_access import BucketAccess

if TYPE_CHECKING:
    from obstore.store import ClientConfig

# One request may take 5 s, and is sent again at most twice within 8 s: every call ends after
# about 10 s, which is below the 15 s of a worker's lease. Without limits the client waits without end.
_TIMEOUT, _CONNECT_TIMEOUT = timedelta(seconds=5), timedelta(seconds=2)
_MAX_RETRIES, _RETRY_TIMEOUT = 2, timedelta(seconds=8)

_STATUS = re.compile(r"status code: (\d{3})")
# Answers of a server that is busy or is starting: too early, a race, too many requests.
_PASSING = ("408", "409", "425", "429")

# The process that first used a client; 0 before that.
_first_user = 0


def client_of(bucket: str) -> S3Store:
    """Return this process' client of the bucket.

    Raises `StoreFailed` in a process that was forked after its parent had used a client: the
    client's threads are not in the child, and every call of the child would wait without end.
    """
    global _first_user
    if _first_user not in (0, os.getpid()):
        raise StoreFailed(
            "This process was forked from a process that had already used the bucket, and cannot use it. "
            "Start processes with the method `spawn` or `forkserver`, or use the bucket in the child processes only."
        )
    _first_user = os.getpid()
    return _made(bucket, BucketAccess.from_environment())


@lru_cache(maxsize=8)
def _made(bucket: str, access: BucketAccess) -> S3Store:
    options: ClientConfig = {
        "timeout": _TIMEOUT,
        "connect_timeout": _CONNECT_TIMEOUT,
        "allow_http": access.endpoint.startswith("http://"),
    }
    return S3Store(
        bucket,
        config=access.config(),
        client_options=options,
        retry_config={"max_retries": _MAX_RETRIES, "retry_timeout": _RETRY_TIMEOUT},
    )


@contextmanager
def bucket_failures(name: str) -> Iterator[None]:
    """Raise our errors in place of those of the client; `name` is the object, for the message."""
    try:
        yield
    except FileNotFoundError as error:
        # The server says so of a reading, but of a HEAD it sends the status only.
        if "NoSuchBucket" in str(error):
            raise _away("the server has no such bucket") from None
        raise FileMissing(f"{name} does not exist.") from None
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise ObjectChanged(
            f"{name} was written by another process meanwhile. Nothing was changed. Try again."
        ) from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise _refused(name, "it does not accept the credentials") from None
    except (exceptions.BaseError, OSError) as error:
        # The messages hold addresses and headers; only the status is shown.
        status = next(iter(_STATUS.findall(str(error))), "")
        if status == "404":
            raise _away("the server has no such bucket") from None
        if status in ("401", "403"):
            raise _refused(name, "it does not accept the credentials") from None
        if status.startswith("4") and status not in _PASSING:
            raise _refused(name, f"it answered {status}") from None
        reason = f"the server answered {status}" if status else "the server does not answer"
        raise _away(reason) from None


def _refused(name: str, reason: str) -> StoreFailed:
    return StoreFailed(
        f"The S3 server refused {name}: {reason}. Nothing was changed. "
        "Correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION or the rights of this key."
    )


def _away(reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The bucket of OUTPUTS_URL is away: {reason}. Datasets with a local copy are still served; "
        "nothing was lost. Try again in a few seconds; if it lasts, look at the S3 server and at AWS_ENDPOINT_URL."
    )
