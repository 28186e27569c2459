"""The largest message accepted from the feed."""

from __future__ import annotations

from dataclasses import dataclass

from datasets.tradingview.frames import not_understood

# In recordings a bar takes about 120 bytes and 13 JSON values, its time-axis marks included.
_BYTES_PER_BAR, _VALUES_PER_BAR = 320, 32
# For the other messages, and for a feed that sends a few thousand bars too many.
_BYTES_TO_SPARE, _VALUES_TO_SPARE = 2 * 1024 * 1024, 200_000


@dataclass(frozen=True, slots=True)
class MessageLimit:
    """The largest message of a fetch, in bytes and in JSON values.

    Values are bounded too: a parsed value takes some hundred bytes of memory, in the message only two.
    """

    n_bytes: int
    n_values: int

    @classmethod
    def of_bars(cls, n_bars: int) -> MessageLimit:
        """Return the limit of a fetch of `n_bars`."""
        return cls(
            _BYTES_TO_SPARE + n_bars * _BYTES_PER_BAR, _VALUES_TO_SPARE + n_bars * _VALUES_PER_BAR
        )

    def require_bytes(self, n_bytes: int) -> None:
        """Raise `FeedProtocol` when a message of `n_bytes` is too large."""
        if n_bytes > self.n_bytes:
            raise not_understood(
                f"sent a message of more than {self.n_bytes / 1e6:.1f} MB, more than the requested bars "
                "can need; the rest of it was not read"
            )

    def require_values(self, message: bytes) -> None:
        """Raise `FeedProtocol` when a message may hold too many JSON values; count them without parsing."""
        # Each value except the first follows a comma, or opens a list or an object.
        n_values = sum(message.count(mark) for mark in (b",", b"[", b"{"))
        if n_values > self.n_values:
            raise not_understood(
                f"sent a message of {n_values:,} values, more than the requested bars can need; it was "
                "not parsed"
            )


# The limit before a fetch has set its own: for the upgrade and the first message.
NO_BARS = MessageLimit.of_bars(0)
