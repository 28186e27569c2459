"""An S3 server of our own, and a proxy in front of it that fails in the ways of a network."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Literal
from unittest.mock import patch
from uuid import uuid4

import requests

from datasets.errors import DatasetsError
from datasets.storage.buckets import Bucket, BucketAddress
from tests.support.servers import Need, running
from tests.support.stacks import free_port, wait_until

KEY, SECRET = "tests", "a-secret-of-the-tests"
BUCKET = "bars"
Fault = Literal["none", "cut", "500", "hang", "slow", "half"]


@dataclass(frozen=True)
class BucketServer:
    """Address of a running S3 server with one bucket."""

    endpoint: str

    @property
    def env(self) -> dict[str, str]:
        """The variables with which every S3 tool finds this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def empty_place(self) -> str:
        """Return the address of a place that nothing was written to yet."""
        return f"s3://{BUCKET}/{uuid4().hex}"


@contextmanager
def seaweedfs(need: Need) -> Iterator[BucketServer]:
    """Run SeaweedFS with an empty bucket, on free ports of this machine only."""
    with tempfile.TemporaryDirectory(prefix="tvweed-", ignore_cleanup_errors=True) as folder:
        weed = Weed(need, Path(folder), "127.0.0.1")
        # SIGTERM takes half a minute.
        with running(weed.arguments, end=SIGKILL):
            wait_until(weed.answers, seconds=60, what="SeaweedFS' first object")
            yield weed.server


class Weed:
    """SeaweedFS that is not started yet, on free ports of one address.

    Parameters
    ----------
    need
        Finds the program `weed`.
    folder
        The folder of its data, which a later start finds again.
    address
        The address of its host.
    """

    def __init__(self, need: Need, folder: Path, address: str) -> None:
        ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
        rights = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}  # fmt: skip
        (folder / "keys.json").write_text(json.dumps({"identities": [rights]}))
        self.arguments = [
            need("weed"), "server", f"-ip={address}", f"-ip.bind={address}", f"-dir={folder}", "-master.telemetry=false",
            # Otherwise each bucket takes seven volumes, and soon there is no room for another.
            "-volume.max=0", "-master.volumeSizeLimitMB=64",
            "-s3", f"-s3.config={folder}/keys.json", "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock",
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-{name}.port.grpc={free_port()}" for name in ports),
        ]  # fmt: skip
        self.server = BucketServer(f"http://{address}:{ports['s3']}")
        self._bucket = f"http://{address}:{ports['filer']}/buckets/{BUCKET}/"

    def answers(self) -> bool:
        """Return whether the server takes objects; make its bucket where it is missing."""
        return _is_made(self._bucket) and _takes(self.server)


def _is_made(url: str) -> bool:
    with suppress(requests.ConnectionError, requests.Timeout):
        # 409: it is there already.
        return requests.post(url, timeout=5).status_code in (201, 409)
    return False


def _takes(server: BucketServer) -> bool:
    # The first writing of an object is refused until the server has made a volume.
    with patch.dict(os.environ, server.env), suppress(DatasetsError):
        Bucket(BucketAddress(BUCKET, "first")).put("object", b"1")
        return True
    return False


class FaultProxy:
    """A TCP proxy in front of a server, with one fault for all connections at a time.

    Parameters
    ----------
    port
        The server's port on this machine.
    """

    def __init__(self, port: int) -> None:
        self.n_connections = 0
        # How long a request is on its way to a server that is far away.
        self.delay_s = 0.0
        self.fault: Fault = "none"
        self._target = port
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, fault: Fault) -> None:
        """Fail in this way from now on; open connections end, because clients keep them."""
        self.fault = fault
        for each in list(self._open):
            self._close(each)

    def stop(self) -> None:
        """Close the listener and all connections."""
        self._listener.close()
        self.arm("cut")

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.n_connections += 1
                self._open.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self.fault == "cut":
                self._close(client)
            elif self.fault == "hang":
                while client.recv(65_536):
                    pass
            elif self.fault == "500":
                client.recv(65_536)
                client.sendall(
                    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            else:
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open.add(server)
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                self._answer(server, client)
                self._close(server)
        self._close(client)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                time.sleep(self.delay_s)
                target.sendall(piece)
        self._close(target)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        while piece := server.recv(65_536):
            if self.fault == "half":
                client.sendall(piece[: len(piece) // 2])
                return
            if self.fault == "slow":
                for place in range(len(piece)):
                    client.sendall(piece[place : place + 1])
                    time.sleep(0.05)
                continue
            client.sendall(piece)

    def _close(self, each: socket.socket) -> None:
        self._open.discard(each)
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
