"""docs/sql.md: DuckDB and polars read the service over HTTP, and the archive in a bucket."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User

from datasets.models import ApiToken, Dataset
from datasets.storage.buckets import Bucket, BucketAddress
from tests.support.archives import Archive, plain_bars
from tests.support.buckets import BucketServer
from tests.support.sql_lines import lines_under
from tests.support.study_files import require

# The newest DuckDB whose extension `httpfs` is a package too; the tests reach no other host.
DUCKDB = ["duckdb==1.5.5", "duckdb-extension-httpfs==1.5.5"]
INSTALL = "INSTALL httpfs; LOAD httpfs"
COUNTS = "\nprint(*[table.aggregate('count(*)').fetchone()[0] for table in (bars, {other})])\n"


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return a function that runs lines of the page in an environment with DuckDB and `httpfs`."""
    folder = tmp_path_factory.mktemp("duckdb")
    uv, python = str(Path(sys.executable).with_name("uv")), str(folder / "venv/bin/python")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder / "venv")], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", python, *DUCKDB], check=True)
    (extension,) = folder.rglob("httpfs.duckdb_extension")

    def run(lines: str) -> str:
        assert INSTALL in lines
        lines = lines.replace(INSTALL, f"LOAD '{extension}'")
        done = subprocess.run([python, "-c", lines], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def service(
    make_dataset: Callable[..., Dataset], live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> str:  # fmt: skip
    """A service that needs a token, which the environment has; returns its address."""
    settings.API_ACCESS = "login"
    make_dataset(300, symbol="AAPL", exchange="NASDAQ", timeframe="1D")
    token = ApiToken(name="sql", user=User.objects.create_user("ada"), scope="read")
    monkeypatch.setenv("TV_TOKEN", token.renew())
    token.save()
    return str(live_server.url)


@pytest.fixture
def bucket(bucket_address: str, tmp_path: Path) -> str:
    """An archive of 100 bars in a bucket; returns the address of the place."""
    archive = Archive(tmp_path / "archive", source="tradingview")
    archive.merge(plain_bars(range(100)))
    place = Bucket(BucketAddress.parse(bucket_address))
    for path in tmp_path.rglob("*.parquet"):
        place.put(path.relative_to(tmp_path).as_posix(), path.read_bytes())
    return bucket_address


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_duckdb_reads_the_service_with_a_token(
    service: str, duckdb: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_under("DuckDB over HTTP", "python").replace("https://bars.example.com", service)

    assert duckdb(lines + COUNTS.format(other="same")) == "300 300"

    # A refused token is an error, never an empty table.
    monkeypatch.setenv("TV_TOKEN", "wrong")
    with pytest.raises(AssertionError, match="HTTPException"):
        duckdb(lines + COUNTS.format(other="same"))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_polars_reads_the_service_with_a_token(service: str) -> None:
    require("polars")
    names: dict[str, Any] = {}
    lines = lines_under("polars over HTTP", "python")

    exec(lines.replace("https://bars.example.com", service), names)

    assert names["bars"].shape == (300, 6)


@pytest.mark.slow
def test_duckdb_reads_the_archive_in_a_bucket(
    bucket: str, bucket_server: BucketServer, duckdb: Callable[[str], str]
) -> None:
    lines = lines_under("DuckDB in a bucket", "python")
    lines = lines.replace("s3.eu-central-1.amazonaws.com", urlsplit(bucket_server.endpoint).netloc)
    lines = lines.replace("USE_SSL true", "USE_SSL false").replace("s3://bars/prefix", bucket)

    assert duckdb(lines + COUNTS.format(other="bars")) == "100 100"


@pytest.mark.slow
def test_polars_reads_the_archive_in_a_bucket(bucket: str, bucket_server: BucketServer) -> None:
    require("polars")
    names: dict[str, Any] = {}
    lines = lines_under("polars in a bucket", "python")
    lines = lines.replace("https://s3.eu-central-1.amazonaws.com", bucket_server.endpoint)

    exec(lines.replace("s3://bars/prefix", bucket), names)

    assert names["bars"].collect().height == 100
