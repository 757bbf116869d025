"""Addresses as text, the same everywhere, so that events can be joined by them."""

from __future__ import annotations

from ipaddress import ip_address


def address_text(raw: bytes) -> str:
    """Return an address as text; IPv4 by hand, since `ipaddress` takes ten times as long."""
    return ".".join(map(str, raw)) if len(raw) == 4 else str(ip_address(raw))


def address_bytes(text: str) -> bytes:
    """Return what `address_text` was made of."""
    return ip_address(text).packed if ":" in text else bytes(map(int, text.split(".")))


def mac_text(raw: bytes) -> str | None:
    """Return a MAC as ``aa:bb:...``, None where the link layer has none."""
    return raw.hex(":") if raw else None
