"""DNS messages, as far as finding a provisioning server goes. Does no input or output.

Sources: RFC 1035, RFC 3596 (AAAA). Discovery of the server: Intel's AMT guide, "Setup mode hello messages":
the device asks for ProvisionServer, bare or with the suffix of DHCP option 15.
"""

from functools import lru_cache
from typing import NamedTuple

from amtdiag.protocols.addresses import address_text
from amtdiag.protocols.protocol import Field
from amtdiag.safetext import safe

DNS_PORT = 53
HEADER = 12
A, CNAME, PTR, AAAA = 1, 5, 12, 28
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
TYPES = {A: "A", CNAME: "CNAME", PTR: "PTR", AAAA: "AAAA"}
HOST = "provisionserver"
"""The name that a device asks for unless its MEBx says otherwise; compared without case."""

_MAX_JUMPS = 16
_MAX_NAME = 255
_MAX_RECORDS = 64
_POINTER = 0xC0


class DnsMessage(NamedTuple):
    """One query or answer. Names are safe to show, lower case, without the final dot."""

    id: int
    is_response: bool
    rcode: int
    cut: bool
    """Not all of the answer is here: truncated by the server, or cut by the capture."""
    name: str
    """Of the first question."""
    type: int
    addresses: tuple[str, ...]
    """Of A and AAAA records in the answer, in their order."""
    names: tuple[str, ...]
    """Of CNAME and PTR records in the answer."""


FIELDS = {
    DnsMessage: (
        Field("id", "number", "ID (RFC 1035, 4.1.1)"),
        Field("is_response", "flag", "QR (RFC 1035, 4.1.1)"),
        Field("rcode", "number", "RCODE (RFC 1035, 4.1.1)"),
        Field("cut", "flag", "TC (RFC 1035, 4.1.1), or fewer records than ANCOUNT"),
        Field("name", "name", "QNAME (RFC 1035, 4.1.2)"),
        Field("type", "number", "QTYPE (RFC 1035, 4.1.2)"),
        Field("addresses", "address", "RDATA of A (RFC 1035, 3.4.1) and AAAA (RFC 3596, 2.2)"),
        Field("names", "name", "RDATA of CNAME and PTR (RFC 1035, 3.3.1 and 3.3.12)"),
    )
}


def parse(data: bytes) -> DnsMessage | None:
    """Read a message; None for what is none, or asks for more than one thing. Never raises."""
    if len(data) < HEADER:
        return None
    message = (_parse_short if len(data) <= _SHORT else _parse)(data[2:])
    return message and DnsMessage(int.from_bytes(data[:2]), *message[1:])


def _parse(after_id: bytes) -> DnsMessage | None:
    """Read a message with the number 0: but for it, all devices of a fleet ask the same."""
    data = b"\0\0" + after_id
    flags = int.from_bytes(data[2:4])
    questions, answers = int.from_bytes(data[4:6]), int.from_bytes(data[6:8])
    if questions != 1 or flags & 0x7800:  # other operations than a standard query
        return None
    named = name_at(data, HEADER)
    if named is None or named[1] + 4 > len(data):
        return None
    name, at = named
    kind = int.from_bytes(data[at : at + 2])
    addresses, names, read = _answers(data, at + 4, answers)
    return DnsMessage(
        id=0,
        is_response=bool(flags & 0x8000),
        rcode=flags & 15,
        cut=bool(flags & 0x0200) or read < min(answers, _MAX_RECORDS),
        name=name,
        type=kind,
        addresses=addresses,
        names=names,
    )


_SHORT = 512
_parse_short = lru_cache(maxsize=512)(_parse)


def _answers(data: bytes, at: int, count: int) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Read the answer section as far as it goes: addresses, names, and how many records that were."""
    addresses: list[str] = []
    names: list[str] = []
    read = 0
    for _ in range(min(count, _MAX_RECORDS)):
        owner = name_at(data, at)
        if owner is None or owner[1] + 10 > len(data):
            break
        at = owner[1]
        kind, length = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 8 : at + 10])
        at += 10
        if at + length > len(data):
            break
        if (kind == A and length == 4) or (kind == AAAA and length == 16):
            addresses.append(address_text(data[at : at + length]))
        elif kind in (CNAME, PTR):
            target = name_at(data, at)
            if target is not None:
                names.append(target[0])
        at += length
        read += 1
    return tuple(addresses), tuple(names), read


def name_at(data: bytes, at: int) -> tuple[str, int] | None:
    """Read a name that may point back; return it and where the reading goes on."""
    labels: list[str] = []
    size = 0
    end: int | None = None
    for _ in range(_MAX_JUMPS + _MAX_NAME):
        if at >= len(data):
            return None
        length = data[at]
        if length & _POINTER == _POINTER:
            if at + 1 >= len(data):
                return None
            target = int.from_bytes(data[at : at + 2]) & 0x3FFF
            end = at + 2 if end is None else end
            if target >= at:
                return None  # pointers go back; forward ones make loops
            at = target
            continue
        if length & _POINTER:
            return None
        if length == 0:
            return safe(".".join(labels)).lower(), at + 1 if end is None else end
        label = data[at + 1 : at + 1 + length]
        size += length + 1
        if len(label) < length or size > _MAX_NAME:
            return None
        labels.append(label.decode("latin-1"))
        at += 1 + length
    return None


def address_of_reverse(name: str) -> str | None:
    """Return the address that a name of the reverse zone stands for (RFC 1035, RFC 3596), or None."""
    labels, _, zone = name.rpartition(".arpa")
    if zone or not labels:
        return None
    *parts, family = labels.split(".")
    try:
        if family == "in-addr" and len(parts) == 4:
            return address_text(bytes(int(part) for part in reversed(parts)))
        if family == "ip6" and len(parts) == 32:
            return address_text(bytes.fromhex("".join(reversed(parts))))
    except ValueError:
        pass
    return None


def is_discovery(name: str) -> bool:
    """True for the name that a device finds its server by."""
    return name == HOST or name.startswith(HOST + ".")
