"""Receivers of messages for tests: an HTTP server and a mail server, real ones on free ports."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class Received:
    """One request: its path, its headers by name in lower case, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class HttpReceiver:
    """An HTTP server that keeps what it receives; `answer` writes the reply."""

    url: str
    answer: Callable[[BaseHTTPRequestHandler], None]
    received: list[Received] = field(default_factory=list)
    # Set at the end, so that handlers that hang end too.
    is_over: threading.Event = field(default_factory=threading.Event)

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer nothing."""
        self.is_over.wait(30)

    def drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a header after another, without end."""
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
        while not self.is_over.wait(0.05):
            handler.wfile.write(b"x-header: 1\r\n")


def accept(handler: BaseHTTPRequestHandler) -> None:
    """Answer 204."""
    handler.send_response(204)
    handler.end_headers()


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer with this status."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Answer 200 with a body that does not end."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65_536)


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    """Run an HTTP server that accepts every POST."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            try:
                receiver.answer(self)
            except OSError:
                # The sender has cut the connection.
                self.close_connection = True

        def do_GET(self) -> None:
            receiver.received.append(Received(self.path, {}, b""))
            accept(self)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver = HttpReceiver(f"http://127.0.0.1:{server.server_address[1]}/hook", accept)
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        yield receiver
        receiver.is_over.set()
        server.shutdown()
        thread.join(10)


@dataclass(slots=True)
class MailReceiver:
    """A mail server that keeps its mails; with `refusal` it answers every mail with this line."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    refusal: str = ""


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    """Run a mail server: the few commands of SMTP that a client without encryption sends."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mail.test ready")
            while line := self.rfile.readline():
                command = line.decode().strip().upper()
                if command == "DATA":
                    self._say("354 go on")
                    self._keep()
                elif command.startswith("MAIL") and receiver.refusal:
                    self._say(receiver.refusal)
                elif command == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _keep(self) -> None:
            lines = iter(self.rfile.readline, b".\r\n")
            content = b"".join(line.removeprefix(b".") for line in lines)
            found = message_from_bytes(content, policy=policy.default)
            receiver.mails.append(found)
            self._say("250 kept")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver = MailReceiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join(10)
