"""DHCP messages, as far as provisioning depends on them. Does no input or output.

Sources: RFC 2131 and 2132 (DHCP), 3396 (long options), 3397 (119), 4702 (81), and IANA's registry "BOOTP
Vendor Extensions and DHCP Options" for the names of options. What AMT does with them: Intel's AMT guide,
"Overview of PSK/PKI automatic configuration flow".
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from amtdiag.capture.decode.packet import Segment
from amtdiag.model import DhcpEvent, Evidence
from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.protocol import Field, LaneReader, Port, Protocol
from amtdiag.safetext import safe

# Layout of the fixed part (RFC 2131, 2).
HTYPE = 1
HLEN = 2
XID = slice(4, 8)
CIADDR = slice(12, 16)
YIADDR = slice(16, 20)
CHADDR = slice(28, 34)
SNAME = slice(44, 108)
FILE = slice(108, 236)
COOKIE = slice(236, 240)
MAGIC = b"\x63\x82\x53\x63"
_OPTIONS = 240
_ETHERNET, _MAC_LENGTH = 1, 6

# Options, by the names of IANA's registry (RFC 2132 unless another is named).
PAD = 0
DOMAIN_NAME_SERVER = 6
HOST_NAME = 12
DOMAIN_NAME = 15
REQUESTED_IP_ADDRESS = 50
OPTION_OVERLOAD = 52
DHCP_MESSAGE_TYPE = 53
SERVER_IDENTIFIER = 54
PARAMETER_REQUEST_LIST = 55
CLIENT_FQDN = 81
"""RFC 4702: flags and two result codes of a byte each, then the name."""
DOMAIN_SEARCH = 119
"""RFC 3397."""
END = 255
_FQDN_HEADER = 3
_FILE_HOLDS_OPTIONS, _SNAME_HOLDS_OPTIONS = 1, 2

KINDS = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}
"""By message type."""
ANSWERS = frozenset({"offer", "ack", "nak"})
"""Kinds that a server sends."""
MAX_SERVERS = 8


class Lease(NamedTuple):
    """One DHCP message, of either version. Text is safe to show; what it does not carry is None or empty."""

    kind: str
    """discover, offer, request, decline, ack, nak, release, inform; of DHCPv6 the nearest of these."""
    mac: str
    """Of the client."""
    xid: int = 0
    client: str | None = None
    """The address that the client already has."""
    offered: str | None = None
    """The address that it is given."""
    requested: str | None = None
    """The address that it asks for."""
    server: str | None = None
    dns: tuple[str, ...] = ()
    """Addresses of DNS servers, the first `MAX_SERVERS`."""
    host: str | None = None
    domain: str | None = None
    """Names the provisioning server, and is what the certificate's suffix is held against."""
    fqdn: str | None = None
    search: bool = False
    """A search list is there, which AMT is not known to use."""
    wanted: frozenset[int] = frozenset()
    """Numbers of the options that the client asks for."""
    ended: bool = False
    """The options were read to their end mark: what is not here was not sent."""
    version: Literal[4, 6] = 4


FIELDS = {
    Lease: (
        Field("kind", "word", "option 53, DHCP Message Type (RFC 2132, 9.6)"),
        Field("mac", "mac", "chaddr (RFC 2131, 2)"),
        Field("xid", "number", "xid (RFC 2131, 2)"),
        Field("client", "address", "ciaddr (RFC 2131, 2)"),
        Field("offered", "address", "yiaddr (RFC 2131, 2)"),
        Field("requested", "address", "option 50, Requested IP Address (RFC 2132, 9.1)"),
        Field("server", "address", "option 54, Server Identifier (RFC 2132, 9.7)"),
        Field("dns", "address", "option 6, Domain Name Server (RFC 2132, 3.8)"),
        Field("host", "name", "option 12, Host Name (RFC 2132, 3.14)"),
        Field("domain", "name", "option 15, Domain Name (RFC 2132, 3.17); DHCPv6: option 24, the first"),
        Field("fqdn", "name", "option 81, Client FQDN (RFC 4702, 2)"),
        Field("search", "flag", "option 119, Domain Search, is there (RFC 3397, 2)"),
        Field("wanted", "number", "option 55, Parameter Request List (RFC 2132, 9.8)"),
        Field("ended", "flag", "option 255, End, is there (RFC 2132, 3.2)"),
        Field("version", "number", "4 or 6, by the port"),
    )
}


def parse(data: bytes) -> Lease | None:
    """Read a BOOTP/DHCP message of Ethernet; None for anything else. Never raises."""
    if len(data) < _OPTIONS or data[COOKIE] != MAGIC or data[HTYPE] != _ETHERNET:
        return None
    options, ended = _options(data)
    kind = KINDS.get(int.from_bytes(options.get(DHCP_MESSAGE_TYPE, b"")[:1]))
    if kind is None or data[HLEN] != _MAC_LENGTH:
        return None
    return Lease(
        kind=kind,
        mac=data[CHADDR].hex(":"),
        xid=int.from_bytes(data[XID]),
        client=_address(data[CIADDR]),
        offered=_address(data[YIADDR]),
        requested=_address(options.get(REQUESTED_IP_ADDRESS, b"")),
        server=_address(options.get(SERVER_IDENTIFIER, b"")),
        dns=_addresses(options.get(DOMAIN_NAME_SERVER, b"")),
        host=_text(options.get(HOST_NAME)),
        domain=_text(options.get(DOMAIN_NAME)),
        fqdn=_text(options.get(CLIENT_FQDN, b"")[_FQDN_HEADER:]),
        search=DOMAIN_SEARCH in options,
        wanted=frozenset(options.get(PARAMETER_REQUEST_LIST, b"")),
        ended=ended,
    )


def _options(data: bytes) -> tuple[dict[int, bytes], bool]:
    """Collect the options, and say whether their end mark was reached.

    An option that comes in parts is joined (RFC 3396), overloaded fields are read.
    """
    found: dict[int, bytes] = {}
    ended = _collect(data, _OPTIONS, len(data), found)
    overload = int.from_bytes(found.get(OPTION_OVERLOAD, b"")[:1])
    for bit, field in ((_FILE_HOLDS_OPTIONS, FILE), (_SNAME_HOLDS_OPTIONS, SNAME)):
        if overload & bit:
            _collect(data, field.start, field.stop, found)
    return found, ended


def _collect(data: bytes, at: int, end: int, found: dict[int, bytes]) -> bool:
    while at < end and data[at] != END:
        code = data[at]
        if code == PAD:
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
    return tuple(address_text(raw[at : at + 4]) for at in range(0, len(raw) - len(raw) % 4, 4))[:MAX_SERVERS]


def _text(raw: bytes | None) -> str | None:
    return safe(raw.rstrip(b"\0")).lower() or None if raw else None


def lease_event(lease: Lease, datagram: Segment, evidence: tuple[Evidence, ...]) -> DhcpEvent:
    """Return the event of a message of either version."""
    return DhcpEvent(
        ts=datagram.ts,
        mac=lease.mac,
        kind=lease.kind,
        address=lease.offered or lease.requested or lease.client,
        server=lease.server,
        dns=lease.dns,
        domain=lease.domain,
        host=lease.host,
        fqdn=lease.fqdn,
        search=lease.search,
        wanted=lease.wanted,
        whole=lease.ended or not datagram.missing,
        evidence=evidence,
        version=lease.version,
        xid=lease.xid,
    )


class DhcpReader(LaneReader):
    """Reads DHCPv4 messages."""

    def read(self, datagram: Segment, evidence: tuple[Evidence, ...]) -> Iterator[DhcpEvent]:
        """Yield the event of a message."""
        lease = parse(datagram.payload)
        if lease is not None:
            yield lease_event(lease, datagram, evidence)


PROTOCOL = Protocol(
    "dhcp",
    "DHCP",
    ports=(
        Port("dhcp", 67, "udp", "lane", "DHCP server"),
        Port("dhcp", 68, "udp", "lane", "DHCP client"),
    ),
    lane=DhcpReader,
)
