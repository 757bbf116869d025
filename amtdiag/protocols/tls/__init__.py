"""The TLS handshake of a conversation, SSL 3.0 to TLS 1.3, as far as it is in the clear.

Records (`records`) become messages (`handshake`), these become values (`messages`), and both sides together
show how the handshake went (`reader`). Does no input or output; never raises. What a gap may hold is reported
as missing, not as absent.
"""

from __future__ import annotations

from collections.abc import Sequence

from amtdiag.model import TlsConversation
from amtdiag.reassembly.stream import Assembled

_BEGINNINGS = (b"\x16\x03", b"\x15\x03")
"""A handshake or an alert; nothing else begins a side of a conversation."""


def read_conversation(
    client: Assembled, server: Assembled, files: Sequence[str] = ()
) -> TlsConversation | None:
    """Return how far a conversation came; None where neither side begins with TLS. Never raises.

    `files` are the names behind the file indices of the streams' pieces; without them nothing has evidence.
    """
    if not (_may_begin(client) or _may_begin(server)):
        return None
    from amtdiag.protocols.tls.reader import read  # costs more to import than most captures to read

    return read(client, server, files)


def _may_begin(stream: Assembled) -> bool:
    """True where the first bytes are those of TLS, or are missing."""
    if not stream.anchored:
        return False
    data = stream.data
    if data.startswith(_BEGINNINGS) or (stream.gaps and stream.gaps[0][0] <= 1):
        return True
    return data[2:4] == b"\x01\x03" and data[0] >= 0x80
