"""DHCPv6, as far as it names the domain: option 24. Sources: RFC 8415, RFC 3646."""

from collections.abc import Iterator

from amtdiag.capture.decode.packet import Segment
from amtdiag.model import DhcpEvent, Evidence
from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.dhcp import MAX_SERVERS, Lease, lease_event
from amtdiag.protocols.dns import name_at
from amtdiag.protocols.protocol import LaneReader, Port, Protocol

# Message types (RFC 8415, 7.3).
SOLICIT, ADVERTISE, REQUEST, RENEW, REBIND, REPLY, INFORMATION_REQUEST = 1, 2, 3, 5, 6, 7, 11
RELAY_FORW, RELAY_REPL = 12, 13
_KINDS = {
    SOLICIT: "discover",
    ADVERTISE: "offer",
    REQUEST: "request",
    RENEW: "request",
    REBIND: "request",
    REPLY: "ack",
    INFORMATION_REQUEST: "inform",
}
"""Message types by the nearest DHCPv4 word."""

# Options (RFC 8415, 21; RFC 3646).
OPTION_CLIENTID = 1
OPTION_RELAY_MSG = 9
OPTION_DNS_SERVERS = 23
OPTION_DOMAIN_LIST = 24

_HEADER, _RELAY_HEADER, _OPTION_HEADER = 4, 34, 4
_DUID_LLT, _DUID_LL = b"\0\1\0\1", b"\0\3\0\1"
"""A link-layer address of Ethernet, with a time of four bytes or without (RFC 8415, 11.2 and 11.4)."""
_MAC_LENGTH = 6
_MAX_RELAYS = 4


def parse(data: bytes, relays: int = 0) -> Lease | None:
    """Read a message, through relays; None where it is none or its client has no MAC. Never raises."""
    if len(data) < _HEADER or relays > _MAX_RELAYS:
        return None
    if data[0] in (RELAY_FORW, RELAY_REPL):
        inner = _options(data, _RELAY_HEADER).get(OPTION_RELAY_MSG)
        return parse(inner, relays + 1) if inner else None
    kind = _KINDS.get(data[0])
    options = _options(data, _HEADER)
    mac = _mac(options.get(OPTION_CLIENTID, b""))
    if kind is None or mac is None:
        return None
    name = name_at(options.get(OPTION_DOMAIN_LIST, b""), 0)
    dns = _addresses(options.get(OPTION_DNS_SERVERS, b""))
    return Lease(kind, mac, dns=dns, domain=name[0] if name is not None else None, version=6)


def _options(data: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + _OPTION_HEADER <= len(data):
        code, length = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
        at += _OPTION_HEADER
        if at + length > len(data):
            break
        found.setdefault(code, data[at : at + length])
        at += length
    return found


def _mac(duid: bytes) -> str | None:
    """Return the MAC in a DUID of link-layer address, with or without a time."""
    for kind, start in ((_DUID_LLT, 8), (_DUID_LL, 4)):
        if duid[:4] == kind and len(duid) == start + _MAC_LENGTH:
            return duid[start:].hex(":")
    return None


def _addresses(raw: bytes) -> tuple[str, ...]:
    return tuple(address_text(raw[at : at + 16]) for at in range(0, len(raw) - 15, 16))[:MAX_SERVERS]


class Dhcpv6Reader(LaneReader):
    """Reads DHCPv6 messages."""

    def read(self, datagram: Segment, evidence: tuple[Evidence, ...]) -> Iterator[DhcpEvent]:
        """Yield the event of a message. An answer does not hold its server's address: the sender's counts."""
        lease = parse(datagram.payload)
        if lease is not None:
            if lease.kind in ("offer", "ack"):
                lease = lease._replace(server=address_text(datagram.src))
            yield lease_event(lease, datagram, evidence)


PROTOCOL = Protocol(
    "dhcpv6",
    "DHCPv6",
    ports=(
        Port("dhcpv6", 546, "udp", "lane", "DHCPv6 client"),
        Port("dhcpv6", 547, "udp", "lane", "DHCPv6 server"),
    ),
    lane=Dhcpv6Reader,
)
