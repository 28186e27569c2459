"""compose.yaml and compose.many.yaml: their form, and their commands outside containers.

No container runs here. The files are read as compose reads them, and each command of the service is
run on this machine, with the servers that a test can start in the place of their images.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support import servers
from tests.support.deployment import COMPOSE_FILES, arguments_of, read_compose, variables_of
from tests.support.stacks import ROOT, Feed, Running, free_port, wait_until
from tvproject.env import SETTINGS

GIVEN = {
    "POSTGRES_PASSWORD": "letters1", "REDIS_PASSWORD": "letters2", "AWS_SECRET_ACCESS_KEY": "letters3",
    "ADMIN_PASSWORD": "letters4", "SECRET_KEY": "k" * 50, "BACKENDS": "127.0.0.1",
}  # fmt: skip
QUERY = "symbol=BINANCE:BTCUSDT&timeframe=1h&wait=30"
OURS = {"prepare", "web", "worker", "live"}
# Variables that every S3 tool reads; they are no settings of ours alone.
AWS = re.compile(r"AWS_(ENDPOINT_URL|ACCESS_KEY_ID|SECRET_ACCESS_KEY|REGION)")


@pytest.fixture(params=COMPOSE_FILES)
def compose(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read_compose(request.param, GIVEN)


def test_every_image_is_pinned_and_every_service_is_bounded(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        image = service["image"]
        assert "build" in service or re.fullmatch(r"[a-z/]+:\d+(\.\d+)*", image), name
        assert service["restart"] in ("unless-stopped", "on-failure"), name
        assert service["mem_limit"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name in OURS:
            assert service["read_only"] is True


def test_only_what_stays_in_the_machine_or_its_network_is_published(
    compose: dict[str, Any],
) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]  # fmt: skip

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_volumes_files_and_dependencies_are_there(compose: dict[str, Any]) -> None:
    services, used = compose["services"], set()
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                assert (ROOT / source).is_file(), volume
            else:
                used.add(source)
                assert target.startswith("/")
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], (name, other)
            else:
                assert services[other]["restart"] == "on-failure", (name, other)
    assert used == set(compose["volumes"])


def test_the_service_is_given_settings_with_allowed_values(compose: dict[str, Any]) -> None:
    for name in OURS & set(compose["services"]):
        for variable, value in compose["services"][name]["environment"].items():
            if not AWS.fullmatch(variable) and not str(value).startswith("s3://"):
                SETTINGS[variable].read(str(value))


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_every_variable_of_a_compose_file_is_a_setting_or_explained(name: str) -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    _, _, section = page.partition("## Containers and systemd")

    for variable in variables_of(name) - set(SETTINGS):
        assert f"`{variable}`" in section, variable


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_a_secret_that_is_missing_is_named(name: str) -> None:
    for variable in variables_of(name) & {"POSTGRES_PASSWORD", "ADMIN_PASSWORD", "SECRET_KEY"}:
        with pytest.raises(KeyError, match=variable):
            read_compose(name, {key: text for key, text in GIVEN.items() if key != variable})


def test_the_ports_of_the_files_agree() -> None:
    services = read_compose("compose.many.yaml", GIVEN)["services"]
    nginx = (ROOT / "examples" / "nginx.conf").read_text()
    pgbouncer = (ROOT / "examples" / "pgbouncer.ini").read_text()

    assert "--port 8000" in services["web"]["command"]
    assert "server web:8000;" in nginx
    assert "listen 80;" in nginx
    assert "listen_port = 6432" in pgbouncer
    assert ":6432/tvdatasets" in services["web"]["environment"]["DATABASE_URL"]
    assert ":5432/tvdatasets" in services["prepare"]["environment"]["DATABASE_URL"]
    assert "-s3.port=8333" in services["s3"]["command"]


@contextmanager
def pooler(need: servers.Need, command: list[str], *, postgresql_port: int) -> Iterator[int]:
    """Run PgBouncer by its command of the compose file; yield its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tvpgbouncer-") as name:
        folder = Path(name)
        text = (ROOT / "examples" / "pgbouncer.ini").read_text()
        text = text.replace("host=postgres port=5432", f"host=127.0.0.1 port={postgresql_port}")
        text = text.replace("listen_addr = *", "listen_addr = 127.0.0.1")
        text = text.replace("listen_port = 6432", f"listen_port = {port}")
        ini = folder / "pgbouncer.ini"
        ini.write_text(text.replace("/etc/pgbouncer/", f"{name}/"))
        script = command[-1].replace("/etc/pgbouncer/", f"{name}/")
        script = script.replace("/etc/bars/pgbouncer.ini", str(ini))
        script = script.replace("exec pgbouncer", f"exec {need('pgbouncer')}")
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
            folder.chmod(0o755)
        env = os.environ | {"POSTGRES_PASSWORD": GIVEN["POSTGRES_PASSWORD"]}
        with servers.running([*command[:-1], script], env=env, user=user):
            yield port


@pytest.mark.slow
def test_the_commands_of_compose_serve_and_fetch_through_pgbouncer_and_redis(
    need: servers.Need, postgresql_url: str, clean_feed: Feed, tmp_path: Path
) -> None:
    services = read_compose("compose.many.yaml", GIVEN)["services"]
    postgresql_port = int(postgresql_url.rpartition(":")[2].partition("/")[0])
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE tvdatasets LOGIN PASSWORD 'letters1'")
        connection.execute("CREATE DATABASE tvdatasets OWNER tvdatasets")
    redis_port, web_port = free_port(), free_port()

    def env(name: str, pooler_port: int) -> dict[str, str]:
        own = {key: text for key, text in os.environ.items() if key not in SETTINGS}
        own |= {"PATH": f"{Path(sys.executable).parent}:{own['PATH']}"}
        # pytest has its own.
        own["DJANGO_SETTINGS_MODULE"] = "tvproject.settings"
        given = {key: str(value) for key, value in services[name]["environment"].items()}
        for ports in (
            (":6432/", f":{pooler_port}/"),
            (":5432/", f":{postgresql_port}/"),
            (":6379/", f":{redis_port}/"),
        ):
            given = {key: value.replace(*ports) for key, value in given.items()}
        folders = {"OUTPUTS_URL": str(tmp_path / "data"), "STATE_DIR": str(tmp_path / "state")}
        return own | given | clean_feed.env | folders | {"TV_SOURCE": "sample"}

    def start(name: str, env: dict[str, str]) -> Running:
        words = arguments_of(services[name]["command"])
        words = [str(web_port) if word == "8000" else word for word in words]
        words = words[1:] if words[0] == "python" else ["-m", *words]
        return Running(words, env=env, log=tmp_path / f"{name}.log")

    redis_script = arguments_of(services["redis"]["command"])[-1]
    redis_script = redis_script.replace("--dir /data", f"--dir {tmp_path} --port {redis_port}")
    redis_env = os.environ | {"REDISCLI_AUTH": GIVEN["REDIS_PASSWORD"]}
    command = arguments_of(services["pgbouncer"]["command"])
    need("redis-server")
    with ExitStack() as stack:
        port = stack.enter_context(pooler(need, command, postgresql_port=postgresql_port))
        redis = stack.enter_context(ExitStack())
        redis.enter_context(servers.running(["sh", "-c", redis_script], env=redis_env))
        client = Redis(port=redis_port, password=GIVEN["REDIS_PASSWORD"])
        wait_until(lambda: _answers(client), what="Redis' first answer")
        prepared = start("prepare", env("prepare", port))
        stack.callback(prepared.kill)
        assert prepared.process.wait(timeout=120) == 0, prepared.log.read_text()
        for name in ("web", "worker"):
            stack.callback(start(name, env(name, port)).kill)
        url = f"http://127.0.0.1:{web_port}"
        wait_until(lambda: _is_ready(url), seconds=90, what="a good /readyz")
        reply = requests.get(f"{url}/api/tv/ohlc?{QUERY}&n_bars=50", timeout=60)
        assert (reply.status_code, reply.json()["count"]) == (200, 50)

        check = services["worker"]["healthcheck"]["test"]
        name = subprocess.run(["uname", "-n"], capture_output=True, text=True).stdout.strip()
        healthy = subprocess.run(
            ["sh", "-c", check[1].replace("$$", "$")],
            cwd=ROOT, env=env("worker", port) | {"HOSTNAME": name}, timeout=60, capture_output=True, text=True,
        )  # fmt: skip
        assert healthy.returncode == 0, healthy.stdout + healthy.stderr

        client.set("a pause", "kept")
        # Longer than the second after which Redis has written it at the latest.
        wait_until(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0)
        redis.close()
        stack.enter_context(servers.running(["sh", "-c", redis_script], env=redis_env))
        wait_until(lambda: _answers(client), what="Redis' answer after a restart")
        assert client.get("a pause") == b"kept"


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False
