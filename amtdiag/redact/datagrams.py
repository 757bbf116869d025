"""DNS, DHCP, DHCPv6, RMCP and ICMP messages with pseudonyms in place of names and addresses.

Each function returns as many bytes as it was given, for any bytes. What is not known to be harmless becomes
zero. Layouts: see `amtdiag.protocols`.
"""

from __future__ import annotations

from collections.abc import Callable

from amtdiag.protocols.dhcp import MAGIC
from amtdiag.redact.pseudonyms import Pseudonyms

Mask = Callable[[bytes, Pseudonyms], bytes]
"""Takes a message and returns it with pseudonyms, in the same length."""

# ------------------------------------------------------------------------------------------------------- DNS

_HEADER, _POINTER, _MAX_RECORDS, _MAX_LABELS = 12, 0xC0, 512, 160
_A, _NS, _CNAME, _SOA, _PTR, _MX, _AAAA, _SRV = 1, 2, 5, 6, 12, 15, 28, 33
_BEFORE_NAME = {_NS: 0, _CNAME: 0, _PTR: 0, _MX: 2, _SRV: 6, _SOA: 0}
"""By type of record: bytes of numbers in front of the name in its data."""
_SOA_NUMBERS = 20


def dns(data: bytes, names: Pseudonyms) -> bytes:
    """Mask a DNS message; what stands behind damage becomes zero."""
    return _Dns(data, names).masked()


class _Dns:
    def __init__(self, data: bytes, names: Pseudonyms) -> None:
        self.data = data
        self.names = names
        self.out = bytearray(len(data))
        self.done: set[int] = set()
        """Offsets of labels that have been replaced: others may point to them."""

    def masked(self) -> bytes:
        data = self.data
        self._keep(0, _HEADER)
        questions = int.from_bytes(data[4:6])
        records = sum(int.from_bytes(data[at : at + 2]) for at in (6, 8, 10))
        at: int | None = _HEADER
        for _ in range(min(questions, _MAX_RECORDS)):
            at = at and self.name(at)
            if at is None:
                return bytes(self.out)
            self._keep(at, at + 4)
            at += 4
        for _ in range(min(records, _MAX_RECORDS)):
            at = at and self._record(at)
            if at is None:
                break
        return bytes(self.out)

    def _keep(self, start: int, end: int) -> None:
        end = min(end, len(self.data))
        self.out[start:end] = self.data[start:end]

    def _record(self, at: int) -> int | None:
        body = self.name(at)
        if body is None or body + 10 > len(self.data):
            return None
        self._keep(body, body + 10)
        kind, length = (
            int.from_bytes(self.data[body : body + 2]),
            int.from_bytes(self.data[body + 8 : body + 10]),
        )
        start, end = body + 10, body + 10 + length
        if end > len(self.data):
            return None
        if (kind, length) in ((_A, 4), (_AAAA, 16)):
            self.out[start:end] = self.names.address(self.data[start:end])
        elif kind in _BEFORE_NAME:
            after = self.name(start + _BEFORE_NAME[kind])
            self._keep(start, start + _BEFORE_NAME[kind])
            if kind == _SOA and after is not None and self.name(after) is not None:
                self._keep(max(end - _SOA_NUMBERS, start), end)
        return end

    def name(self, at: int) -> int | None:
        """Replace the labels of the name at an offset; return where the reading goes on."""
        data = self.data
        places: list[int] = []
        end: int | None = None
        for _ in range(_MAX_LABELS):
            if at >= len(data):
                return None
            length = data[at]
            if length & _POINTER == _POINTER:
                if end is None:
                    self._keep(at, at + 2)
                    end = at + 2
                target = int.from_bytes(data[at : at + 2]) & 0x3FFF
                if at + 1 >= len(data) or target >= at:
                    return None
                at = target
            elif length & _POINTER or at + 1 + length > len(data):
                return None
            elif length == 0:
                self._replace(places)
                return at + 1 if end is None else end
            else:
                places.append(at)
                at += 1 + length
        return None

    def _replace(self, places: list[int]) -> None:
        labels = [self.data[at + 1 : at + 1 + self.data[at]] for at in places]
        masked = _reverse(labels, self.names) or [self.names.label(label) for label in labels]
        for at, label in zip(places, masked, strict=True):
            if at not in self.done:
                self.done.add(at)
                self.out[at] = len(label)
                self.out[at + 1 : at + 1 + len(label)] = label


def _reverse(labels: list[bytes], names: Pseudonyms) -> list[bytes] | None:
    """Return the labels of a name in a reverse zone; None where it is in none, or is no whole address."""
    zone = [label.lower() for label in labels[-2:]]
    try:
        if zone == [b"in-addr", b"arpa"] and len(labels) == 6:
            octets = bytes(int(label) for label in reversed(labels[:4]))
            if [b"%d" % octet for octet in reversed(octets)] == labels[:4]:
                return [b"%d" % octet for octet in reversed(names.ipv4(octets))] + labels[4:]
        if zone == [b"ip6", b"arpa"] and len(labels) == 34:
            digits = b"".join(reversed(labels[:32])).decode("ascii")
            masked = names.ipv6(bytes.fromhex(digits)).hex()
            return [digit.encode("ascii") for digit in reversed(masked)] + labels[32:]
    except ValueError:  # labels that are no numbers
        pass
    return None


def wire_names(data: bytes, names: Pseudonyms) -> bytes:
    """Mask domain names in DNS form, one behind the other."""
    masker = _Dns(data, names)
    at: int | None = 0
    while at is not None and at < len(data):
        at = masker.name(at)
    return bytes(masker.out)


# ------------------------------------------------------------------------------------------------------ DHCP

_FIXED = 236
_PAD, _END, _OVERLOAD = 0, 255, 52
_SNAME, _FILE = (44, 108), (108, 236)


def _kept(value: bytes, _: Pseudonyms) -> bytes:
    return value


def _ipv4s(value: bytes, names: Pseudonyms) -> bytes:
    return names.addresses(value, 4)


def _ipv6s(value: bytes, names: Pseudonyms) -> bytes:
    return names.addresses(value, 16)


def _domain(value: bytes, names: Pseudonyms) -> bytes:
    text = value.rstrip(b"\0")
    return names.name(text) + value[len(text) :]


def _fqdn(value: bytes, names: Pseudonyms) -> bytes:
    """Option 81: flags, two codes, and a name as text or in DNS form (RFC 4702)."""
    is_wire = bool(value) and value[0] & 4
    return value[:3] + (wire_names if is_wire else _domain)(value[3:], names)


def _client_id(value: bytes, names: Pseudonyms) -> bytes:
    """Option 61: a type, and for type 1 a MAC; behind type 255 a DUID (RFC 2132, RFC 4361)."""
    if value[:1] == b"\1" and len(value) == 7:
        return value[:1] + names.mac(value[1:])
    if value[:1] == b"\xff":
        return value[:1] + bytes(min(4, len(value) - 1)) + _duid(value[5:], names)
    return value[:1] + bytes(max(0, len(value) - 1))


def _machine_id(value: bytes, names: Pseudonyms) -> bytes:
    """Option 97: a type, and for type 0 the UUID (RFC 4578)."""
    if value[:1] == b"\0" and len(value) == 17:
        return value[:1] + names.uuid(value[1:])
    return bytes(len(value))


_OPTIONS: dict[int, Mask] = {
    **dict.fromkeys((1, 46, 51, 52, 53, 55, 57, 58, 59, 60, 93, 94, 116), _kept),
    **dict.fromkeys((3, 4, 5, 6, 28, 42, 44, 50, 54), _ipv4s),
    **dict.fromkeys((12, 15), _domain),
    61: _client_id,
    81: _fqdn,
    97: _machine_id,
    119: wire_names,
}
"""How the value of a DHCP option is masked. All others become zero."""


def dhcp(data: bytes, names: Pseudonyms) -> bytes:
    """Mask a DHCPv4 message."""
    if data[_FIXED : _FIXED + 4] != MAGIC:
        return bytes(len(data))
    out = bytearray(len(data))
    out[:12] = data[:12]
    out[12:28] = names.addresses(data[12:28], 4)
    if data[1:3] == b"\1\6":
        out[28:34] = names.mac(data[28:34])
    out[_FIXED : _FIXED + 4] = MAGIC
    overload = _dhcp_options(data, out, _FIXED + 4, len(data), names)
    for bit, (start, end) in ((1, _FILE), (2, _SNAME)):
        if overload & bit:
            _dhcp_options(data, out, start, end, names)
    return bytes(out)


def _dhcp_options(data: bytes, out: bytearray, at: int, end: int, names: Pseudonyms) -> int:
    """Mask the options between two offsets; return what option 52 says of more of them."""
    overload = 0
    while at < end and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        code, length = data[at], data[at + 1] if at + 1 < end else 0
        stop = at + 2 + length
        if stop > end:
            out[at : at + 2] = data[at : at + 2]
            return overload
        value = data[at + 2 : stop]
        overload = value[0] if code == _OVERLOAD and value else overload
        mask = _OPTIONS.get(code)
        out[at:stop] = data[at : at + 2] + (mask(value, names) if mask else bytes(length))
        at = stop
    if at < end:
        out[at] = _END
    return overload


# ---------------------------------------------------------------------------------------------------- DHCPv6

_RELAYS = (12, 13)
_RELAY_HEADER = 34
_MAX_DEPTH = 6


def _duid(value: bytes, names: Pseudonyms) -> bytes:
    """A DHCP unique identifier (RFC 8415, 11; RFC 6355)."""
    kind = int.from_bytes(value[:2])
    if kind == 1 and len(value) == 14:
        return value[:8] + names.mac(value[8:])
    if kind == 3 and len(value) == 10:
        return value[:4] + names.mac(value[4:])
    if kind == 4 and len(value) == 18:
        return value[:2] + names.uuid(value[2:])
    return value[:2] + bytes(max(0, len(value) - 2))


def _ia(value: bytes, names: Pseudonyms) -> bytes:
    return value[:12] + _options_v6(value[12:], names)


def _ia_address(value: bytes, names: Pseudonyms) -> bytes:
    if len(value) < 24:
        return bytes(len(value))
    return names.address(value[:16]) + value[16:24] + _options_v6(value[24:], names)


_OPTIONS_V6: dict[int, Mask] = {
    1: _duid,
    2: _duid,
    3: _ia,
    5: _ia_address,
    6: _kept,
    8: _kept,
    23: _ipv6s,
    24: wire_names,
    39: lambda value, names: value[:1] + wire_names(value[1:], names),
}
"""How the value of a DHCPv6 option is masked. All others become zero."""


def dhcpv6(data: bytes, names: Pseudonyms, depth: int = 0) -> bytes:
    """Mask a DHCPv6 message, through relays."""
    if data[:1] and data[0] in _RELAYS:
        if depth >= _MAX_DEPTH or len(data) < _RELAY_HEADER:
            return bytes(len(data))
        head = data[:2] + names.addresses(data[2:_RELAY_HEADER], 16)
        return head + _options_v6(data[_RELAY_HEADER:], names, depth + 1)
    return data[:4] + _options_v6(data[4:], names)


def _options_v6(data: bytes, names: Pseudonyms, depth: int = 0) -> bytes:
    out = bytearray(len(data))
    at = 0
    while at + 4 <= len(data):
        code, length = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
        out[at : at + 4] = data[at : at + 4]
        at += 4
        value = data[at : at + length]
        if len(value) < length:
            break
        if code == 9 and depth:  # what a relay passes on
            out[at : at + length] = dhcpv6(value, names, depth)
        elif code in _OPTIONS_V6:
            out[at : at + length] = _OPTIONS_V6[code](value, names)
        at += length
    return bytes(out)


# --------------------------------------------------------------------------------------------- RMCP and ICMP

_PRESENCE = 28
"""Bytes of the longer of ping and pong."""
_ASF = b"\x00\x00\x11\xbe"


def rmcp(data: bytes, _: Pseudonyms) -> bytes:
    """Mask an RMCP datagram: a presence ping or pong holds nothing of a site, and all else becomes zero."""
    kept = data[:_PRESENCE] if data[4:8] == _ASF and data[8:9] in (b"\x80", b"\x40") else data[:4]
    return kept + bytes(len(data) - len(kept))


def blank(data: bytes, _: Pseudonyms) -> bytes:
    """Mask a message of a protocol that is not known here: nothing of it stays."""
    return bytes(len(data))


MASKS: dict[str, Mask] = {"dns": dns, "dhcp": dhcp, "dhcpv6": dhcpv6, "rmcp": rmcp}
"""By protocol: how a datagram is masked."""
