"""How large a message of the feed may be."""

from __future__ import annotations

from dataclasses import dataclass

from datasets.tradingview.frames import not_understood

# A recorded bar takes about 120 bytes and 13 JSON values, its marks on the time axis included.
_BYTES_PER_BAR, _VALUES_PER_BAR = 320, 32
# For everything else, and for a feed that sends some thousand bars more than it was asked for.
_BYTES_TO_SPARE, _VALUES_TO_SPARE = 2 * 1024 * 1024, 200_000


@dataclass(frozen=True, slots=True)
class MessageLimit:
    """The largest message that a fetch can need, in bytes and in JSON values.

    Both, because a value takes some hundred bytes of memory and as little as two of the message.
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
                f"sent a message of more than {self.n_bytes / 1e6:.1f} MB, which the bars asked for cannot "
                "need and which was not read further"
            )

    def require_values(self, message: bytes) -> None:
        """Raise `FeedProtocol` when a message may hold too many JSON values; it is not parsed."""
        # Each value but the first follows a comma or the opening of a list or an object.
        n_values = sum(message.count(mark) for mark in (b",", b"[", b"{"))
        if n_values > self.n_values:
            raise not_understood(
                f"sent a message of {n_values:,} values, which the bars asked for cannot need and which "
                "was not parsed"
            )


# What the upgrade and a conversation that has not begun can need.
NO_BARS = MessageLimit.of_bars(0)
