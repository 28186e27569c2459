"""Checks of drawings. `static/js/drawings/kept.js` and `shapes.js` have the same limits and kinds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from datasets.errors import InvalidRequest

# The kinds that are kept, with their number of points.
KINDS = {"trend": 2, "ray": 2, "level": 1, "rectangle": 2, "fibonacci": 2, "text": 1}
# Of one symbol.
MOST_DRAWINGS = 200
MOST_ID = 64
MOST_TEXT = 200
_ID = re.compile(rf"[!-~]{{1,{MOST_ID}}}")
# UNIX seconds (UTC) of the years 1 and 9999, the range of Python's datetime.
_FIRST_TIME, _LAST_TIME = -62_135_596_800, 253_402_300_799
_Problems = Iterator[tuple[str, str]]


def check_drawings(drawings: Any) -> list[dict[str, Any]]:
    """Return the drawings in their one form, from values of JSON.

    Each is `{id, kind, points, text}`: `points` are `{time, price}`, the time in UNIX seconds (UTC), the
    price in the symbol's own unit; `text` only for the kind `text`.

    Raises
    ------
    InvalidRequest
        Names the wrong fields of the first wrong drawing, such as `drawings[3].points[0].price`.
    """
    if not isinstance(drawings, list):
        raise InvalidRequest({"drawings": ["Send a list of drawings; an empty one removes them."]})
    if len(drawings) > MOST_DRAWINGS:
        sentence = f"A symbol has at most {MOST_DRAWINGS} drawings, and these are {len(drawings)}. Remove some."
        raise InvalidRequest({"drawings": [sentence]})
    seen: set[str] = set()
    for place, drawing in enumerate(drawings):
        problems = dict(_problems(drawing, f"drawings[{place}]"))
        if not problems and drawing["id"] in seen:
            problems[f"drawings[{place}].id"] = "Another drawing of the list has this id."
        if problems:
            raise InvalidRequest({field: [sentence] for field, sentence in problems.items()})
        seen.add(drawing["id"])
    return [_in_form(drawing) for drawing in drawings]


def _in_form(drawing: Mapping[str, Any]) -> dict[str, Any]:
    points = [{"time": point["time"], "price": point["price"]} for point in drawing["points"]]
    text = {"text": drawing["text"]} if drawing["kind"] == "text" else {}
    return {"id": drawing["id"], "kind": drawing["kind"], "points": points} | text


def _problems(drawing: Any, at: str) -> _Problems:
    """Yield each wrong field of a drawing with a sentence."""
    if not isinstance(drawing, dict):
        yield at, "A drawing is an object with id, kind and points."
        return
    kind, points = drawing.get("kind"), drawing.get("points")
    fields = {"id", "kind", "points"} | ({"text"} if kind == "text" else set())
    for name in sorted(set(drawing) - fields):
        yield f"{at}.{name}", f"A drawing of this kind has only {', '.join(sorted(fields))}."
    if not (isinstance(drawing.get("id"), str) and _ID.fullmatch(drawing["id"])):
        yield f"{at}.id", f"An id has 1 to {MOST_ID} visible ASCII characters."
    if not (isinstance(kind, str) and kind in KINDS):
        yield f"{at}.kind", f"A kind is one of {', '.join(KINDS)}."
    elif not (isinstance(points, list) and len(points) == KINDS[kind]):
        yield f"{at}.points", f"The kind {kind} has {KINDS[kind]} points {{time, price}}."
    else:
        for place, point in enumerate(points):
            yield from _point_problems(point, f"{at}.points[{place}]")
    if kind == "text" and not _is_text(drawing.get("text")):
        yield f"{at}.text", f"A text has 1 to {MOST_TEXT} characters."


def _point_problems(point: Any, at: str) -> _Problems:
    if not isinstance(point, dict) or set(point) != {"time", "price"}:
        yield at, "A point is an object with time and price alone."
        return
    if not (_is_number(point["time"]) and _FIRST_TIME <= point["time"] <= _LAST_TIME):
        yield f"{at}.time", "A time is UNIX seconds (UTC) between the years 1 and 9999."
    if not _is_number(point["price"]):
        yield f"{at}.price", "A price is a finite number."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    if not isinstance(value, str) or "\0" in value:
        return False
    # The page counts UTF-16 units, and drops a drawing with a longer text.
    return 1 <= len(value.encode("utf-16-le")) // 2 <= MOST_TEXT
