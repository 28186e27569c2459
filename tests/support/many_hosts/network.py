"""Hosts as network namespaces on a private bridge, so that a cable can be pulled.

Only root may make them. Elsewhere all hosts share this machine's own network: each still has its
own state folder, but no cable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# Of addresses that no network uses (RFC 2544); one machine can have several of these networks.
_PREFIX = "198.18"


@dataclass(frozen=True, slots=True)
class Host:
    """One host: its address, and the words before a command that run the command on it."""

    name: str
    address: str
    # The bridge's end of the cable; empty on the machine's own network.
    cable: str = ""

    @property
    def prefix(self) -> list[str]:
        """The words that run a command on this host; none on the machine's own network."""
        return ["ip", "netns", "exec", self.cable] if self.cable else []

    def cut(self) -> None:
        """Pull the cable: packets to and from the host are lost without a word."""
        _ip("link", "set", self.cable, "down")

    def join(self) -> None:
        """Plug the cable in again."""
        _ip("link", "set", self.cable, "up")


class Network:
    """A bridge of this machine, with one host for each name; `address` is this machine's own on it."""

    def __init__(self, number: int, *, has_namespaces: bool) -> None:
        self.has_namespaces = has_namespaces
        self._subnet = f"{_PREFIX}.{number}"
        self._bridge = f"tvb{number}"
        self._hosts: list[Host] = []
        self.address = f"{self._subnet}.1" if has_namespaces else "127.0.0.1"

    def open(self) -> None:
        """Make the bridge."""
        if self.has_namespaces:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("address", "add", f"{self.address}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")

    def host(self, name: str) -> Host:
        """Make a host with an address of its own."""
        if not self.has_namespaces:
            return Host(name, self.address)
        number = len(self._hosts) + 2
        host = Host(name, f"{self._subnet}.{number}", f"{self._bridge}h{number}")
        self._hosts.append(host)
        _ip("netns", "add", host.cable)
        inner = ("-n", host.cable)
        _ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.cable)
        _ip("link", "set", host.cable, "master", self._bridge, "up")
        _ip(*inner, "address", "add", f"{host.address}/24", "dev", "eth0")
        _ip(*inner, "link", "set", "eth0", "up")
        _ip(*inner, "link", "set", "lo", "up")
        return host

    def close(self) -> None:
        """Remove the hosts and the bridge."""
        for host in self._hosts:
            with suppress(subprocess.CalledProcessError):
                # The cable goes with its namespace, which a dying process can hold a moment longer.
                _ip("link", "del", host.cable)
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", host.cable)
        if self.has_namespaces:
            with suppress(subprocess.CalledProcessError):
                _ip("link", "del", self._bridge)


@contextmanager
def private_network() -> Iterator[Network]:
    """Make a network of hosts, and remove it; without root it is the machine's own network."""
    can_make = os.geteuid() == 0 and shutil.which("ip") is not None
    network = _opened(has_namespaces=can_make)
    try:
        yield network
    finally:
        network.close()


def _opened(*, has_namespaces: bool) -> Network:
    """Make a network under the first free number; test processes have several at the same time."""
    for number in range(1, 255):
        network = Network(number, has_namespaces=has_namespaces)
        try:
            network.open()
        except subprocess.CalledProcessError:
            # The bridge of another network has this number.
            continue
        return network
    raise RuntimeError("No number is free for another network; remove the bridges `tvb…`.")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
