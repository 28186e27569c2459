"""The programs of other people on hosts: PostgreSQL, PgBouncer, Redis with persistence, RabbitMQ."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.support.buckets import Weed
from tests.support.many_hosts.network import Host
from tests.support.many_hosts.parts import Part
from tests.support.servers import Need
from tests.support.stacks import ROOT, free_port

PGBOUNCER_EXAMPLE = ROOT / "examples" / "pgbouncer.ini"


def user_of_servers() -> str | None:
    """Return the user for programs that refuse to run as root; None for the present user."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def postgresql(host: Host, folder: Path, need: Need) -> tuple[Part, str]:
    """Return a PostgreSQL server that is not started yet, and the URL of its database `postgres`."""
    user, port = user_of_servers(), free_port()
    folder.mkdir()
    if user is not None:
        shutil.chown(folder, user)
    subprocess.run(
        [need("initdb"), "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True, capture_output=True, user=user, cwd="/",
        group=None if user is None else pwd.getpwnam(user).pw_gid, extra_groups=None if user is None else [],
    )  # fmt: skip
    with (folder / "data" / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 0.0.0.0/0 trust\n")
    url = f"postgres://postgres@{host.address}:{port}/postgres"
    arguments = [need("postgres"), "-D", f"{folder}/data", "-p", str(port), "-c", f"listen_addresses={host.address}",
                 "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "full_page_writes=off"]  # fmt: skip
    part = Part(
        "PostgreSQL", host, arguments, log=folder.with_suffix(".log"), user=user,
        answers=lambda: _database_answers(url), end=signal.SIGINT,
    )  # fmt: skip
    return part, url


def pgbouncer(host: Host, folder: Path, need: Need, database_url: str) -> tuple[Part, str]:
    """Return PgBouncer with the settings of the example, in front of a database, and its URL."""
    user, port = user_of_servers(), free_port()
    folder.mkdir()
    parts = urlsplit(database_url)
    text = PGBOUNCER_EXAMPLE.read_text()
    for old, new in {
        "host=postgres port=5432 dbname=tvdatasets": f"host={parts.hostname} port={parts.port} dbname={parts.path[1:]} user=postgres",
        "listen_addr = *": f"listen_addr = {host.address}",
        "listen_port = 6432": f"listen_port = {port}",
        "auth_type = scram-sha-256": "auth_type = any",
        "auth_file = /etc/pgbouncer/userlist.txt": "",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    config = folder / "pgbouncer.ini"
    config.write_text(text)
    for path in (folder, config):
        if user is not None:
            shutil.chown(path, user)
    url = f"postgres://postgres@{host.address}:{port}/tvdatasets"
    part = Part(
        "PgBouncer", host, [need("pgbouncer"), str(config)], log=folder.with_suffix(".log"), user=user,
        answers=lambda: _database_answers(url), end=signal.SIGINT,
    )  # fmt: skip
    return part, url


def redis(host: Host, folder: Path, need: Need) -> tuple[Part, str]:
    """Return Redis that keeps its data over a restart, and its URL."""
    folder.mkdir()
    port = free_port()
    arguments = [need("redis-server"), "--port", str(port), "--bind", host.address, "--protected-mode", "no",
                 "--dir", str(folder), "--save", "", "--appendonly", "yes"]  # fmt: skip
    part = Part(
        "Redis", host, arguments, log=folder.with_suffix(".log"),
        answers=lambda: accepts(host.address, port),
    )  # fmt: skip
    return part, f"redis://{host.address}:{port}/0"


def rabbitmq(host: Host, folder: Path, need: Need) -> tuple[Part, str]:
    """Return RabbitMQ, and its URL."""
    # Debian's wrapper starts it as another user, without our variables, when root calls it.
    program = Path(need("rabbitmq-server")).resolve().with_name("rabbitmq-server")
    folder.mkdir()
    port, names_port = free_port(), free_port()
    (folder / "rabbitmq.conf").write_text("loopback_users = none\n")
    env = {
        "HOME": str(folder),  # for the cookie of Erlang's nodes
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"tests{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": host.address,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": f"{folder}/data",
        "RABBITMQ_LOG_BASE": f"{folder}/log",
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
    }
    # Otherwise RabbitMQ starts Erlang's name server as a daemon, which would stay.
    names = f"{need('epmd')} -port {names_port} -address 127.0.0.1"
    part = Part(
        "RabbitMQ", host, ["sh", "-c", f"{names} & exec {program}"], env=env, log=folder.with_suffix(".log"),
        answers=lambda: accepts(host.address, port),
    )  # fmt: skip
    return part, f"amqp://guest:guest@{host.address}:{port}//"


def seaweedfs(host: Host, folder: Path, need: Need) -> tuple[Part, dict[str, str]]:
    """Return an S3 server that keeps its data over a restart, and the settings of a service on it."""
    folder.mkdir()
    weed = Weed(need, folder, host.address)
    # A proper end of SeaweedFS takes half a minute.
    part = Part("bucket", host, weed.arguments, log=folder.with_suffix(".log"), answers=weed.answers, end=signal.SIGKILL)  # fmt: skip
    return part, {**weed.server.env, "OUTPUTS_URL": weed.server.empty_place()}


def accepts(address: str, port: int) -> bool:
    """Return whether a program listens there."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _database_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
