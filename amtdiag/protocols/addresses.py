"""Addresses as text, the same everywhere, so that events can be joined by them."""

from __future__ import annotations

from functools import lru_cache

_MAX_REMEMBERED = 8192
"""Addresses come again: a device's in each of its packets, a server's in those of all. One text each."""


@lru_cache(maxsize=_MAX_REMEMBERED)
def address_text(raw: bytes) -> str:
    """Return an address as text; IPv4 by hand, since `ipaddress` takes ten times as long."""
    if len(raw) == 4:
        return ".".join(map(str, raw))
    from ipaddress import ip_address  # costs more to import than most captures to read

    return str(ip_address(raw))


def address_bytes(text: str) -> bytes:
    """Return what `address_text` was made of."""
    if ":" not in text:
        return bytes(map(int, text.split(".")))
    from ipaddress import ip_address

    return ip_address(text).packed


@lru_cache(maxsize=_MAX_REMEMBERED)
def mac_text(raw: bytes) -> str | None:
    """Return a MAC as ``aa:bb:...``, None where the link layer has none."""
    return raw.hex(":") if raw else None
