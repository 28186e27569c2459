"""What pip, make and a shell's pipe make of the project."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.models import Dataset
from datasets.views.snippets import snippets
from tests.support import servers
from tests.support.stacks import ROOT, Feed, Stack

LOCKED = [
    "requirements.txt", "requirements-dev.txt", "requirements-node.txt",
    "examples/requirements.txt", "benchmarks/requirements.txt",
]  # fmt: skip


@pytest.mark.slow
def test_pip_refuses_an_editable_install_and_says_what_works_instead(tmp_path: Path) -> None:
    target = tmp_path / "target"

    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, "-e", "."],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode != 0
    assert "cannot be installed as editable" in done.stdout + done.stderr
    assert not target.exists()


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_locked_with_a_hash(name: str) -> None:
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    wanted = [line for line in lines if line.strip() and not line.startswith("#")]

    assert wanted
    for line in wanted:
        assert re.search(r"==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_the_image_takes_nothing_that_is_not_locked() -> None:
    image = (ROOT / "Dockerfile").read_text()

    installs = re.findall(r"pip install .*", image)
    assert all("--require-hashes" in line for line in installs)
    assert "npm ci" in image


def fit(venv: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [venv / "bin/python", "-I", ROOT / "tvproject/venv.py"], capture_output=True, text=True
    )


def test_a_virtual_environment_of_another_python_or_folder_is_named_with_a_way_out(
    tmp_path: Path,
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    assert fit(venv).returncode == 0

    moved = venv.rename(tmp_path / "moved")
    done = fit(moved)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"created for another folder ({venv})" in done.stderr
    assert "make clean" in done.stderr

    settings = moved / "pyvenv.cfg"
    settings.write_text(re.sub(r"(?m)^version = .*", "version = 3.9.1", settings.read_text()))
    assert "created by Python 3.9.1" in fit(moved).stderr


def test_a_command_whose_reader_has_gone_ends_without_a_traceback(
    tmp_path: Path, clean_feed: Feed
) -> None:
    stack = Stack(tmp_path, clean_feed)
    for arguments in (["list"], ["list", "--json"], ["verify"]):
        with subprocess.Popen(
            [sys.executable, "manage.py", "datasets", *arguments],
            cwd=ROOT, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()

            assert process.stderr.read() == ""
        assert process.returncode != 0


@pytest.mark.django_db(transaction=True)
def test_the_line_for_curl_works_twice(
    need: servers.Need, live_server: Any, make_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    curl = need("curl")
    dataset = make_dataset(20, symbol="BRK.A", exchange="NYSE")
    line = dict(snippets(dataset, site=live_server.url))["curl"]
    arguments = shlex.split(line.replace("curl", curl, 1))
    downloads = tmp_path / "downloads"
    downloads.mkdir()

    for _ in range(2):
        subprocess.run([*arguments, "--silent", "--show-error"], cwd=downloads, check=True)

    (path,) = downloads.iterdir()
    assert path.name == "NYSE_BRK.A_1h_20.csv"
    assert len(path.read_text().splitlines()) == 21
