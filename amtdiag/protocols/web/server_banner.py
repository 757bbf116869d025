"""HTTP answers of a device's web server, as far as they say what it is. Does no input or output.

Sources: RFC 9112. `Server: Intel(R) Active Management Technology 15.0.35.2039` is what AMT sends on port
16992 (Open AMT documentation, MeshCommander); its realm is ``Digest:`` and 32 hex digits (MeshCentral).
"""

from __future__ import annotations

import re

from amtdiag.model import WebServer
from amtdiag.protocols.protocol import Field

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")
_MAX_HEAD = 8192
"""A head that is longer is none that a device sends."""
_SERVER = re.compile(
    rb"\nServer:[ \t]*Intel\(R\) Active Management Technology(?:[ \t]*([\d.]{1,24})(?=[ \t]*\r?\n))?", re.I
)
"""A version counts with the end of its line behind it: cut short it would be another version."""
_REALM = re.compile(rb'\nWWW-Authenticate:[^\n]{0,64}realm="Digest:[0-9A-F]{32}"', re.I)


FIELDS = {
    WebServer: (
        Field("version", "word", "Server (RFC 9110, 10.2.4)"),
        Field("status", "number", "status line (RFC 9112, 4)"),
    )
}


def amt_web_server(answers: bytes) -> WebServer | None:
    """Return what the bytes of a server's side show of AMT's web server; None where they show none.

    Reads the head of the first answer only. Never raises.
    """
    status = _STATUS.match(answers)
    if status is None:
        return None
    head, end, _ = answers[:_MAX_HEAD].partition(b"\r\n\r\n")
    head += end
    server = _SERVER.search(head)
    if server is None and _REALM.search(head) is None:
        return None
    version = server[1].decode("ascii").strip(".") if server is not None and server[1] else None
    return WebServer(version or None, int(status[1]))
