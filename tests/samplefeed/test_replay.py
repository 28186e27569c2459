"""Recordings and CSV files of the sample feed: read with unchanged numbers, or refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from samplefeed.replay import load_replay
from tests.support.recordings import case, recording
from tests.support.stacks import ROOT


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1700000000,,2,1,1.5,100"], "line 2: the column open is empty; only volume may be"),
        (["1700000000,1,2,1,1.5"], "line 2: there are 5 columns and not 6"),
        (["1700000000,1,2,1,1.5,100,7"], "line 2: there are 7 columns and not 6"),
        (["1700000000,1,2,1,many,100"], "line 2: close is 'many', which is no number"),
        (["1700000000,1,2,1,nan,100"], "line 2: close is 'nan', which is no number"),
        (["1700003600,1,2,1,1,1", "", "1700000000,1,2,1,1,1"], "line 4: time 1700000000 is not later than"),
        (["1700000000,1,2,1,1,1", "1700000000,1,2,1,1,1"], "line 3: time 1700000000 is not later than"),
        (["1700000000,1,2,1,1,1", "1700003600,1,2,1,1,"], "line 3: volume is given on some lines and not on others"),
        (["1700000000,1,2,1,\xff,1"], "line 2: close is"),
        ([], "holds no bars"),
    ],
)  # fmt: skip
def test_an_invalid_csv_is_refused_with_a_sentence_that_names_the_line(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["time,open,high,low,close,volume", *lines]))

    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        load_replay(path)

    assert len(str(caught.value).splitlines()) == 1


def test_the_case_of_an_empty_column_ends_the_process_with_that_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "samplefeed", "--replay", str(case("noopen.csv")), "--timeframe", "60"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ended.returncode == 1
    assert ended.stderr.endswith(
        "noopen.csv, line 2: the column open is empty; only volume may be.\n"
    )
    assert len(ended.stderr.splitlines()) == 1


def test_a_csv_of_another_kind_is_refused_at_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("Date,Open,Close,High,Low,Volume\n1,2,3,4,5,6\n")

    with pytest.raises(ValueError, match="line 1: the first line must be time,open"):
        load_replay(path)


@pytest.mark.parametrize(
    "text",
    ['[{"m": "timescale_update", "p": ["cs"]}]', '[{"m": "timescale_update", "p": ["cs", {"s1": {"s": [{}]}}]}]', "no"],
)  # fmt: skip
def test_an_invalid_recording_is_refused_with_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recording.json"
    path.write_text(text)

    with pytest.raises(ValueError, match="recording"):
        load_replay(path)


def test_a_recording_that_is_served_under_another_name_resolves_to_that_name() -> None:
    listing = load_replay(recording("mkt-cli_history-ok.json"), "NASDAQ:OTHER")

    assert listing.resolved("regular")["pro_name"] == "NASDAQ:OTHER"
