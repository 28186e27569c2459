"""An installation on many hosts: web hosts, workers, PostgreSQL behind PgBouncer, Redis and RabbitMQ."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from tests.support.many_hosts import programs
from tests.support.many_hosts.clocks import with_clock
from tests.support.many_hosts.network import Network, private_network
from tests.support.many_hosts.parts import Part
from tests.support.servers import Need
from tests.support.stacks import ROOT, Feed, Stack, free_port


class SharedFolder:
    """The folder of the datasets, whose disk can be taken from all hosts."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._away = folder, folder.with_name("away")

    def cut(self) -> None:
        """Take the disk away: the folder is empty, as a mount point without its disk."""
        self._folder.rename(self._away)
        self._folder.mkdir()

    def join(self) -> None:
        """Bring the disk back."""
        self._folder.rmdir()
        self._away.rename(self._folder)


class Cluster:
    """The parts of one installation; `parts` are started in this order.

    Parameters
    ----------
    network
        The network of its hosts.
    folder
        The folder that all hosts share, and below it one folder for each host.
    feed
        The sample feed.
    need
        Finds a program.
    ahead_s
        Seconds that the clock of a host is ahead, by the part's name such as `worker 1`.
    has_bucket
        Whether the files are in a bucket of an S3 server, not in the shared folder.
    """

    def __init__(
        self,
        network: Network,
        folder: Path,
        feed: Feed,
        need: Need,
        *,
        ahead_s: Mapping[str, int] | None = None,
        n_web: int = 2,
        n_workers: int = 3,
        has_bucket: bool = False,
        **settings: str,
    ) -> None:
        self.feed = feed
        self.folder = folder
        self._network, self._need, self._ahead_s = network, need, ahead_s or {}
        postgres, self.database_url = programs.postgresql(
            network.host("postgresql"), folder / "postgresql", need
        )
        bouncer, pooled_url = programs.pgbouncer(
            network.host("pgbouncer"), folder / "pgbouncer", need, self.database_url
        )
        redis, cache_url = programs.redis(network.host("redis"), folder / "redis", need)
        rabbit, broker_url = programs.rabbitmq(network.host("rabbitmq"), folder / "rabbitmq", need)
        self.parts = [rabbit, postgres, bouncer, redis]
        if has_bucket:
            bucket, place = programs.seaweedfs(network.host("bucket"), folder / "bucket", need)
            self.parts.append(bucket)
            settings = place | {"STATE_DIR": str(folder / "state")} | settings
        self._settings = {
            "DATABASE_URL": pooled_url,
            "DATABASE_POOLING": "transaction",
            "CACHE_URL": cache_url,
            "CELERY_BROKER_URL": broker_url,
            "CELERY_QUEUE_TYPE": "quorum",
            "SECRET_KEY": "x" * 50,
            "ALLOWED_HOSTS": "*",
            **settings,
        }
        self.pooled_port = urlsplit(pooled_url).port or 0
        self.web_urls: list[str] = []
        self._numbers = n_web, n_workers

    def start(self) -> None:
        """Start all parts."""
        rabbit, *others = self.parts
        rabbit.start(wait=False)
        for part in others:
            part.start()
        self.stack = Stack(self.folder / "shared", self.feed, **self._settings)
        self.disk = SharedFolder(self.folder / "shared" / "outputs")
        n_web, n_workers = self._numbers
        rabbit.wait()
        ours = [self._web(f"web {number}") for number in range(1, n_web + 1)]
        ours += [self._worker(f"worker {number}") for number in range(1, n_workers + 1)]
        self.parts += ours
        for part in ours:
            part.start(wait=False)
        for part in ours:
            part.wait()

    def stop(self) -> None:
        """End all parts, the last one first."""
        for part in reversed(self.parts):
            part.thaw()
            part.kill()

    def part(self, name: str) -> Part:
        """Return the part of this name."""
        return next(part for part in self.parts if part.name == name)

    def get(self, number: int, address: str, **parameters: Any) -> requests.Response:
        """Send a request to the API of a web host; the first has the number 0."""
        url = f"{self.web_urls[number]}/api/tv/{address}"
        return requests.get(url, params=parameters, timeout=70)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, from PostgreSQL itself."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def _web(self, name: str) -> Part:
        host, port = self._network.host(name), free_port()
        url = f"http://{host.address}:{port}"
        self.web_urls.append(url)
        arguments = ["-m", "tvproject.server", "--host", host.address, "--port", str(port)]
        return self._own(name, arguments, host, answers=lambda: _is_ready(url))

    def _worker(self, name: str) -> Part:
        arguments = ["-m", "celery", "--quiet", "-A", "tvproject", "worker", "--hostname", name.replace(" ", "@"),
                     "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]  # fmt: skip
        return self._own(
            name, arguments, self._network.host(name), answers=lambda: self._is_seen(name)
        )

    def _own(self, name: str, arguments: list[str], host: Any, **options: Any) -> Part:
        """Return a web host or a worker, with a state folder of its own and perhaps a wrong clock."""
        state = self.folder / name.replace(" ", "")
        state.mkdir()
        env = self.stack.env | {"STATE_DIR": str(state), "WEB_WORKERS": "1"}
        return Part(
            name,
 host,
 with_clock([sys.executable, *arguments], self._ahead_s.get(name, 0), self._need),
            env=env, log=state.with_suffix(".log"), folder=ROOT, **options,
        )  # fmt: skip

    def _is_seen(self, name: str) -> bool:
        found = self.query(
            "SELECT name FROM datasets_worker WHERE seen_at > clock_timestamp() - interval '8 seconds'"
        )
        return any(row[0].startswith(name.replace(" ", "@")) for row in found)


@contextmanager
def many_hosts(need: Need, **options: Any) -> Iterator[Cluster]:
    """Run an installation on hosts of its own; options as for `Cluster`."""
    # Not below pytest's folder: the user of PostgreSQL cannot read that folder.
    folder = Path(tempfile.mkdtemp(prefix="tvhosts-"))
    folder.chmod(0o755)
    (folder / "shared").mkdir()
    with private_network() as network:
        feed = Feed(folder, "--host", network.address)
        cluster = Cluster(network, folder, feed, need, **options)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
            feed.stop()
            if os.environ.get("KEEP_HOSTS") != "1":
                shutil.rmtree(folder, ignore_errors=True)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False
