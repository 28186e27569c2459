"""The settings of the tests: the project's own, on folders of their own, without credentials."""

import atexit
import os
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

from tvproject.env import SETTINGS

MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= 4 * 2**30:
    # The service syncs each file, which takes a disk milliseconds, and no test cuts the power. All
    # processes of a run inherit this folder; as in /tmp, every user may write to it.
    os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="tvtests-", dir=MEMORY)
    Path(os.environ["TMPDIR"]).chmod(0o1777)
    # After multiprocessing's own folder in it, whose priority is -100, and in this process only.
    Finalize(None, shutil.rmtree, [os.environ["TMPDIR"], True], exitpriority=-200)
    tempfile.tempdir = None

FOLDER = tempfile.mkdtemp(prefix="tvtests-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

# An empty variable counts as not set, and hides what a developer's `.env` says.
os.environ.update(dict.fromkeys(SETTINGS, ""))
os.environ.update(
    OUTPUTS_URL=FOLDER,
    TV_SOURCE="sample",
    TV_RATE_PER_MINUTE="0",
    TV_MAX_BARS="50000",
    API_READS_PER_MINUTE="0",
    API_FETCHES_PER_MINUTE="0",
    API_SIGN_INS_PER_MINUTE="0",
    # Tests change rows and files behind the service's back and look at once.
    WEB_TRUST_MS="0",
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", ""),
)

from tvproject.settings import *  # noqa: E402, F403
from tvproject.settings import DATABASES  # noqa: E402

# A good one is slow on purpose, and tests make many users.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # In a file, not in memory: threads and processes share it, as in production.
    DATABASES["default"]["TEST"] = {"NAME": f"{FOLDER}/test.sqlite3"}

# Otherwise each test client reads all static files before its first request.
WHITENOISE_AUTOREFRESH = True
