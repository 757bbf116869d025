"""What TLS conversations with a device show."""

from __future__ import annotations

from typing import Literal, NamedTuple


class TlsTalk(NamedTuple):
    """How far a TLS conversation came, told by its records in the clear."""

    finished: bool | None
    """Both sides changed to encryption, which up to TLS 1.2 ends the handshake. None in TLS 1.3, where
    certificates are exchanged behind it."""
    alert_by: Literal["client", "server"] | None
    """Who sent the first alert in the clear that ends the handshake."""
    alert: int | None
    """Its description."""
