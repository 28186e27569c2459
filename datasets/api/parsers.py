"""Parser of request bodies: JSON of bounded size and depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

# A thousand symbols of the greatest length take a fifth of this.
MAX_BYTES = 1024 * 1024


class BoundedJSONParser(BaseParser):
    """Reads at most `MAX_BYTES`; orjson refuses what is nested too deeply, NaN, and half characters."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        text = stream.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ParseError(f"The body is longer than {MAX_BYTES:,} bytes.")
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: {error}.") from None
