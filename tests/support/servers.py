"""Servers that a larger installation has: each a copy of our own, on a free port, gone after use."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.support.stacks import free_port, wait_until

# Finds a program by its name, or skips the test.
Need = Callable[[str], str]


@contextmanager
def redis(need: Need, *, port: int | None = None, kept_in: Path | None = None) -> Iterator[str]:
    """Run a Redis server; yield its URL. With `kept_in` it keeps its data in that folder."""
    port = port or free_port()
    keep = "no" if kept_in is None else "yes"
    with (
        tempfile.TemporaryDirectory(prefix="tvredis-") as folder,
        running([need("redis-server"), "--port", str(port), "--save", "", "--appendonly", keep,
                 "--dir", str(kept_in or folder)]),
    ):  # fmt: skip
        wait_until(lambda: _accepts(port), what="Redis' first answer")
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgresql(need: Need) -> Iterator[str]:
    """Run a PostgreSQL server; yield the URL of its database `postgres`."""
    initdb, postgres = need("initdb"), need("postgres")
    # PostgreSQL refuses to run as root.
    user = _unprivileged() if os.geteuid() == 0 else None
    # Not below pytest's folder: the user of PostgreSQL cannot read that folder.
    folder = Path(tempfile.mkdtemp(prefix="tvpostgres-"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        with running(
            [initdb, "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            user=user,
        ) as making:  # fmt: skip
            making.wait(timeout=60)
        port = free_port()
        with running(
            # These data need not survive a power cut.
            [postgres, "-D", f"{folder}/data", "-p", str(port), "-c", "fsync=off", "-c", "full_page_writes=off",
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
            user=user,
            # Stop without waiting for connected clients.
            end=signal.SIGINT,
        ):  # fmt: skip
            url = f"postgres://postgres@127.0.0.1:{port}/postgres"
            wait_until(lambda: _answers(url), what="PostgreSQL's start")
            yield url
    finally:
        shutil.rmtree(folder)


def new_database(url: str, purpose: str) -> str:
    """Create a database in the server of `url`, with a name of its own; return its URL.

    A fixture of a module can be set up twice in one process: the tests of a module do not always
    follow each other.
    """
    name = f"{purpose}_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.removesuffix("postgres") + name


@contextmanager
def rabbitmq(need: Need, *, port: int | None = None) -> Iterator[str]:
    """Run a RabbitMQ server; yield its URL."""
    # Debian's wrapper starts it as another user, without our variables, when root calls it.
    program = Path(need("rabbitmq-server")).resolve().with_name("rabbitmq-server")
    port = port or free_port()
    between_nodes, of_names = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="tvrabbitmq-", ignore_cleanup_errors=True) as folder:
        env = os.environ | {
            "HOME": folder,  # for the cookie of Erlang's nodes
            "ERL_EPMD_PORT": str(of_names),
            "RABBITMQ_NODENAME": f"tests{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(between_nodes),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
        }
        # Otherwise RabbitMQ starts Erlang's name server as a daemon, which would stay.
        names = [need("epmd"), "-port", str(of_names), "-address", "127.0.0.1"]
        with running(names), running([str(program)], env=env):
            wait_until(lambda: _accepts(port), what="RabbitMQ's start")
            yield f"amqp://guest:guest@127.0.0.1:{port}//"


@contextmanager
def running(
    arguments: list[str],
    *,
    env: dict[str, str] | None = None,
    user: str | None = None,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, as `user` if one is named; end it with all its child processes."""
    process = subprocess.Popen(
        arguments,
        env=env,
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(end)
        process.wait(timeout=20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _unprivileged() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
