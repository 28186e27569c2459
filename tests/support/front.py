"""nginx in front of a web server, with the configuration of examples/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.servers import Need, running
from tests.support.stacks import ROOT, Stack, free_port, wait_until


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx: its ports, its folder, and with https the file of its certificate."""

    port: int
    folder: Path
    tls_port: int = 0
    certificate: Path = Path()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def access_log(self) -> str:
        """Return the lines of the access log."""
        return (self.folder / "access.log").read_text()


@contextmanager
def front(stack: Stack, folder: Path, need: Need, *, has_tls: bool = False) -> Iterator[Front]:
    """Run nginx before the web server of `stack`; its files are in `folder`."""
    folder.mkdir(exist_ok=True)
    ports = (free_port(), free_port() if has_tls else 0)
    made = Front(ports[0], folder, ports[1], folder / "tls" / "fullchain.pem")
    if has_tls:
        make_certificate(folder / "tls")
        text = (ROOT / "examples" / "nginx-tls.conf").read_text()
        changes = {
            "listen 443 ssl;": f"listen 127.0.0.1:{ports[1]} ssl;",
            "/etc/nginx/": f"{folder}/",
        }
        (folder / "tls.conf").write_text(_changed(text, changes))
    config = folder / "nginx.conf"
    config.write_text(configuration(stack, made))
    with running([need("nginx"), "-c", str(config), "-e", str(folder / "error.log")]):
        wait_until(lambda: _answers(made), what="the first reply through nginx")
        yield made


def configuration(stack: Stack, front: Front) -> str:
    """Return the example with the addresses and the folders of a test."""
    folder = front.folder
    folders = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = (ROOT / "examples" / "nginx.conf").read_text()
    changes = {
        "server web:8000;": f"server {stack.url.removeprefix('http://')};",
        "listen 80;": f"listen 127.0.0.1:{front.port};",
        # Of one address here, which would be many in an attack.
        "limit_conn clients 256;": "limit_conn clients 2048;",
        "/var/log/nginx/": f"{folder}/",
        "/var/cache/nginx/": f"{folder}/",
        "alias /data/datasets/;": f"alias {stack.datasets_folder}/;",
        # The load generator of the benchmarks opens each connection once.
        "http {\n": f"http {{\nkeepalive_requests 1000000;\n{folders}",
    }
    # As root, nginx would give its workers a user that may not read the test's folders.
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"{user}pid {folder}/nginx.pid;\ndaemon off;\n{_changed(text, changes)}"


def make_certificate(folder: Path) -> None:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    folder.mkdir()
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _answers(front: Front) -> bool:
    try:
        # With https it redirects, which is an answer too.
        reply = requests.get(f"{front.url}/healthz", timeout=2, allow_redirects=False)
    except requests.ConnectionError:
        return False
    return reply.status_code in (200, 308)
