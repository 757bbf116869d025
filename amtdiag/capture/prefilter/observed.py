"""A sieve that somebody listens to."""

from __future__ import annotations

from collections.abc import Callable

from amtdiag.capture.prefilter.kernel import Sieve

Told = Callable[[bytes, bytes], None]


class ObservedSieve:
    """Another sieve, and who is told which conversations it is to watch; see `kernel.Sieve`."""

    def __init__(self, sieve: Sieve, watched: Told, unwatched: Told) -> None:
        self._sieve = sieve
        self._watched = watched
        self._unwatched = unwatched
        # What is called for every step of a walk, without a detour.
        self.pcap = sieve.pcap
        self.pcapng = sieve.pcapng
        self.wants = sieve.wants
        self.slot = sieve.slot
        self.seen = sieve.seen

    def watch(self, key: bytes, reverse: bytes, /) -> None:
        """Keep both directions of a conversation from now on."""
        self._sieve.watch(key, reverse)
        self._watched(key, reverse)

    def unwatch(self, key: bytes, reverse: bytes, /) -> None:
        """Take back one call of `watch`."""
        self._sieve.unwatch(key, reverse)
        self._unwatched(key, reverse)
