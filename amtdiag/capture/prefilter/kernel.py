"""Which sieve stands in front of the scan: the compiled one where it was built, else one in plain Python.

Whatever is decoded and selected is so by the same code behind either, so that the result is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Literal

from amtdiag.capture.decode.linktypes import packed
from amtdiag.capture.decode.packet import ICMP, ICMPV6
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.capture.prefilter.interface import Sieve
from amtdiag.errors import MissingToolError, UsageError

Kernel = Literal["c", "python"]

_CHOICE = "AMTDIAG_KERNEL"
_REQUIRED = "AMTDIAG_REQUIRE_KERNEL"

_PORTS = 1 << 16
_PLACES = 8
"""Of the first bytes of a conversation, so many are looked at before Python looks at all of them."""

MISSING = (
    "the compiled kernel is not installed, so reading takes several times as long: install a C compiler, "
    f"then amtdiag again ({_CHOICE}=python says that it is meant to be so)"
)


def _extension() -> Callable[..., Sieve] | None:
    """The maker of sieves, where it was compiled."""
    try:
        module = import_module("amtdiag.capture.prefilter._kernel")
    except ImportError:
        return None
    make: Callable[..., Sieve] = module.Sieve
    return make


def is_missing() -> bool:
    """True where the compiled kernel would be used and is not there, and was not asked for."""
    return not os.environ.get(_CHOICE) and not _is_required() and _extension() is None


def _is_required() -> bool:
    return os.environ.get(_REQUIRED, "") not in ("", "0")


def sieve_for(interest: Interest, seed: int | None = None) -> tuple[Sieve, Kernel]:
    """Return a sieve that lets through what may be of interest, and its kind.

    `seed` keeps the senders of packets from knowing which conversations share a slot; sieves with the same
    one agree on slots.

    Raises `MissingToolError` where the compiled kernel is demanded and not there.
    """
    choice = os.environ.get(_CHOICE) or None
    if choice == "python":
        return _plain(interest), "python"
    if choice not in (None, "c"):
        raise UsageError(f"{_CHOICE} is 'c' or 'python', not {choice!a}")
    make = _extension()
    if make is None:
        if choice or _is_required():
            raise MissingToolError("the compiled kernel is demanded and not installed")
        return _plain(interest), "python"
    places = interest.head[:_PLACES]
    head = bytearray(256)
    for at, place in enumerate(places):
        for value in place:
            head[value] |= 1 << at
    sieve = make(
        tcp_ports=_bits(interest.ports),
        udp_ports=_bits(interest.datagram_ports),
        head=bytes(head),
        head_length=len(places),
        messages=(interest.messages[ICMP], interest.messages[ICMPV6]),
        links=packed(interest.link_types),
        seed=new_seed() if seed is None else seed,
    )
    return sieve, "c"


def new_seed() -> int:
    """Return a seed that cannot be guessed."""
    return int.from_bytes(os.urandom(8))


def _plain(interest: Interest) -> Sieve:
    from amtdiag.capture.prefilter.python import PlainSieve

    return PlainSieve(interest)


def _bits(ports: frozenset[int]) -> bytes:
    """A bit a port, the lowest bit of a byte first."""
    return sum(1 << port for port in ports).to_bytes(_PORTS // 8, "little")
