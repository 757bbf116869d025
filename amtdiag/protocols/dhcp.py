"""DHCP messages, as far as provisioning depends on them. Does no input or output.

Sources: RFC 2131 and 2132 (DHCP), 3397 (119), 4702 (81), 8415 and 3646 (DHCPv6, option 24). What AMT does
with them: Intel's AMT guide, "Overview of PSK/PKI automatic configuration flow".
"""

from __future__ import annotations

from typing import NamedTuple

from amtdiag.protocols.addresses import address_text
from amtdiag.safetext import safe

MAGIC = b"\x63\x82\x53\x63"
_FIXED = 236
_ETHERNET = 1
KINDS = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}
_PAD, _END = 0, 255
_ROUTER, _DNS, _HOST, _DOMAIN, _LEASE, _OVERLOAD, _KIND, _SERVER, _WANTED, _FQDN, _SEARCH = (
    3, 6, 12, 15, 51, 52, 53, 54, 55, 81, 119,
)  # fmt: skip
_REQUESTED = 50
_SNAME, _FILE = (44, 108), (108, 236)


class Lease(NamedTuple):
    """One DHCPv4 message. Text is safe to show; what the message does not carry is None or empty."""

    kind: str
    xid: int
    mac: str
    """The client's, from chaddr."""
    client: str | None
    """ciaddr: the address the client already has."""
    offered: str | None
    """yiaddr: the address it is given."""
    requested: str | None
    server: str | None
    """Option 54."""
    dns: tuple[str, ...]
    host: str | None
    domain: str | None
    """Option 15: names the provisioning server and is what the certificate's suffix is held against."""
    fqdn: str | None
    """Option 81."""
    search: bool
    """Option 119 is there, which AMT is not known to use."""
    wanted: frozenset[int]
    """Option 55: what the client asks for."""
    ended: bool
    """The options were read to their end mark: what is not here was not sent."""


def parse(data: bytes) -> Lease | None:
    """Read a BOOTP/DHCP message of Ethernet; None for anything else. Never raises."""
    if len(data) < _FIXED + len(MAGIC) or data[_FIXED : _FIXED + 4] != MAGIC or data[1] != _ETHERNET:
        return None
    options, ended = _options(data)
    kind = KINDS.get(int.from_bytes(options.get(_KIND, b"")[:1]))
    if kind is None or data[2] != 6:
        return None
    fqdn = options.get(_FQDN, b"")
    return Lease(
        kind=kind,
        xid=int.from_bytes(data[4:8]),
        mac=data[28:34].hex(":"),
        client=_address(data[12:16]),
        offered=_address(data[16:20]),
        requested=_address(options.get(_REQUESTED, b"")),
        server=_address(options.get(_SERVER, b"")),
        dns=_addresses(options.get(_DNS, b"")),
        host=_text(options.get(_HOST)),
        domain=_text(options.get(_DOMAIN)),
        fqdn=_text(fqdn[3:] if len(fqdn) > 3 else None),
        search=_SEARCH in options,
        wanted=frozenset(options.get(_WANTED, b"")),
        ended=ended,
    )


def _options(data: bytes) -> tuple[dict[int, bytes], bool]:
    """Collect the options, and say whether their end mark was reached.

    An option that comes in parts is joined (RFC 3396), overloaded fields are read.
    """
    found: dict[int, bytes] = {}
    ended = _collect(data, _FIXED + 4, len(data), found)
    overload = int.from_bytes(found.get(_OVERLOAD, b"")[:1])
    for bit, (start, end) in ((1, _FILE), (2, _SNAME)):
        if overload & bit:
            _collect(data, start, end, found)
    return found, ended


def _collect(data: bytes, at: int, end: int, found: dict[int, bytes]) -> bool:
    while at < end and data[at] != _END:
        code = data[at]
        if code == _PAD:
            at += 1
            continue
        if at + 2 > end:
            return False
        length = data[at + 1]
        value = data[at + 2 : at + 2 + length]
        if at + 2 + length > end:
            return False  # cut: half an option says nothing
        found[code] = found.get(code, b"") + value
        at += 2 + length
    return at < end


def _address(raw: bytes) -> str | None:
    return address_text(raw) if len(raw) == 4 and any(raw) else None


def _addresses(raw: bytes) -> tuple[str, ...]:
    return tuple(address_text(raw[at : at + 4]) for at in range(0, len(raw) - len(raw) % 4, 4))[:8]


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else safe(raw.rstrip(b"\0")).lower() or None
