"""Keyed pseudonyms of the same length and shape as what they stand for.

One key gives one pseudonym for one value wherever it stands, and none for two: each mapping is a bijection.
Addresses keep what they are (private, link-local, multicast) and who shares a network with whom (after
Xu, Fan, Ammar and Moon, "Prefix-preserving IP address anonymization", 2002, here octet by octet), and the
number of their decimal digits, since they also stand in text. Letters stay letters and digits digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

from amtdiag.protocols.hello import PLACEHOLDER_UUIDS, uuid_text
from amtdiag.protocols.pid import PID_ALPHABET, PID_LENGTH, check_character

_ROUNDS = 8
_LOWER, _UPPER, _DIGITS = range(97, 123), range(65, 91), range(48, 58)

_KEPT_LABELS = frozenset(
    b"arpa com corp home home-arpa in-addr internal intranet ip6 lan local localdomain localhost net private"
    b" provisionserver".split()
)
"""Labels that rules depend on or that say nothing of a site: the server's default name, reverse zones, and
the top-level names by which certificates are judged."""
_USUAL = re.compile(rb"(?:rps|mps|ema|openamt|meshcentral)(?=[-.0-9]|server|$)(?:server)?")
"""How names of servers for other ways to activation usually begin, which is a finding."""
_SERVICES = frozenset(b"_dns-sd _http _https _kerberos _ldap _msdcs _services _sites _tcp _udp".split())
KEPT_USERS = frozenset({b"admin", b"$$osadmin"})
"""AMT's own user names, which say nothing of a site and whose use is a finding."""

_Octets = tuple[Iterable[int], ...]
_TEXT_LENGTHS: _Octets = (range(1, 10), range(10, 100), range(100, 255))
"""Octets by the number of their decimal digits. 0 and 255 mean networks and broadcasts, and stay."""
_HEX_LENGTHS: _Octets = (range(1, 16), range(16, 256))
_SPECIAL_FIRST = frozenset({10, 100, 127, 169, 172, 192})
"""First octets below which there are networks of a special kind (RFC 6890)."""
_FIRST: _Octets = tuple(
    [octet for octet in octets if octet < 224 and octet not in _SPECIAL_FIRST] for octets in _TEXT_LENGTHS
)
_SECOND: dict[int, tuple[range, ...]] = {100: (range(64, 100), range(100, 128)), 172: (range(16, 32),)}
"""Second octets of the special part of a network; those outside of it have classes of their own."""
_WHOLE = {169: 254, 192: 168}
_MULTICAST = 224
_ADDRESS_TEXT = re.compile(rb"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_WORD = re.compile(rb"[A-Za-z0-9]+")


class Pseudonyms:
    """What stands for what, under one key."""

    def __init__(self, key: bytes, kept_names: Iterable[bytes] = ()) -> None:
        """Take a key of up to 64 bytes, and domain names that stay as they are."""
        self._key = key
        self._kept = _KEPT_LABELS.union(*(name.lower().split(b".") for name in kept_names))
        self.macs: set[bytes] = set()
        """MACs that were seen: a UUID that ends in one goes on to do so."""
        self._orders: dict[tuple[bytes, int], dict[int, int]] = {}
        self.ipv4: Callable[[bytes], bytes] = lru_cache(65_536)(self._ipv4)
        self.ipv6: Callable[[bytes], bytes] = lru_cache(65_536)(self._ipv6)
        self.mac: Callable[[bytes], bytes] = lru_cache(65_536)(self._mac)

    # -------------------------------------------------------------------------------------------- addresses

    def address(self, wire: bytes) -> bytes:
        """Return the pseudonym of an IPv4 or IPv6 address; anything else becomes zero."""
        if len(wire) == 4:
            return self.ipv4(wire)
        return self.ipv6(wire) if len(wire) == 16 else bytes(len(wire))

    def addresses(self, wire: bytes, size: int) -> bytes:
        """Return the pseudonyms of addresses that stand side by side; what is left over becomes zero."""
        whole = len(wire) - len(wire) % size
        found = [self.address(wire[at : at + size]) for at in range(0, whole, size)]
        return b"".join(found) + bytes(len(wire) - whole)

    def _ipv4(self, wire: bytes) -> bytes:
        first, second = wire[0], wire[1]
        if first in (0, 127) or first >= _MULTICAST:
            return wire
        out = bytearray(wire)
        if first not in _SPECIAL_FIRST:
            out[0] = self._swap(b"4", first, _FIRST)
        classes: _Octets = _TEXT_LENGTHS
        special = _SECOND.get(first, ())
        if any(second in span for span in special):
            classes = special
        elif special or first in _WHOLE:
            inside = {*(octet for span in special for octet in span), _WHOLE.get(first)}
            classes = tuple([octet for octet in octets if octet not in inside] for octets in _TEXT_LENGTHS)
        if _WHOLE.get(first) != second:
            out[1] = self._swap(wire[:1], second, classes)
        for at in (2, 3):
            out[at] = self._swap(wire[:at], wire[at], _TEXT_LENGTHS)
        return bytes(out)

    def _ipv6(self, wire: bytes) -> bytes:
        if not any(wire[:10]) and wire[10:12] == b"\xff\xff":
            return wire[:12] + self.ipv4(wire[12:])
        if not any(wire[:15]):
            return wire
        if wire[0] == 0xFF:  # multicast; of a solicited node it holds the end of an address
            solicited = wire[:13] == bytes.fromhex("ff0200000000000000000001ff")
            return wire[:13] + self._bytes(b"node", wire[13:]) if solicited else wire
        out = bytearray(wire)
        for at in range(2, 8):
            out[at] = self._swap(b"6" + wire[:at], wire[at], _HEX_LENGTHS)
        if wire[11:13] == b"\xff\xfe":  # made of a MAC (RFC 4291, appendix A)
            mac = self.mac(bytes([wire[8] ^ 2]) + wire[9:11] + wire[13:16])
            out[8:16] = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
            return bytes(out)
        for at in range(8, 16):
            out[at] = self._swap(b"6" + wire[:at], wire[at], _HEX_LENGTHS)
        return bytes(out)

    def _mac(self, wire: bytes) -> bytes:
        """Broadcasts, multicasts and zero stay; the bit of local administration does too."""
        if wire[0] & 1 or not any(wire):
            return wire
        first = self._mix(b"mac", [wire[0] >> 2, *wire[1:]], [64] + [256] * (len(wire) - 1))
        return bytes([first[0] << 2 | wire[0] & 3, *first[1:]])

    # ----------------------------------------------------------------------------------- names of devices

    def uuid(self, wire: bytes) -> bytes:
        """Return the pseudonym of a UUID in SMBIOS byte order. Placeholders, version and variant stay."""
        if uuid_text(wire) in PLACEHOLDER_UUIDS:
            return wire
        out = bytearray(self._bytes(b"uuid", wire))
        out[7] = wire[7] & 0xF0 | out[7] & 0x0F
        out[8] = wire[8] & 0xC0 | out[8] & 0x3F
        if wire[10:] in self.macs:
            out[10:] = self.mac(wire[10:])
        return bytes(out)

    def pid(self, wire: bytes) -> bytes:
        """Return the pseudonym of a PID. Its check character is right where the original's was."""
        text = wire.decode("latin-1")
        if len(wire) != PID_LENGTH or not all(character in PID_ALPHABET for character in text):
            return self.token(wire)
        size = len(PID_ALPHABET)
        mixed = self._mix(
            b"pid", [PID_ALPHABET.index(letter) for letter in text[:-1]], [size] * (PID_LENGTH - 1)
        )
        head = "".join(PID_ALPHABET[index] for index in mixed)
        off = PID_ALPHABET.index(text[-1]) - PID_ALPHABET.index(check_character(text[:-1]))
        check = PID_ALPHABET[(PID_ALPHABET.index(check_character(head)) + off) % size]
        return (head + check).encode("ascii")

    def identity(self, wire: bytes) -> bytes:
        """Return the pseudonym of a pre-shared key's identity: a PID with or without its dash, or text."""
        plain = wire.replace(b"-", b"")
        if len(plain) != PID_LENGTH or wire not in (plain, plain[:4] + b"-" + plain[4:]):
            return self.token(wire)
        pid = self.pid(plain)
        return pid if wire == plain else pid[:4] + b"-" + pid[4:]

    def digest(self, wire: bytes) -> bytes:
        """Return the pseudonym of a digest; zero stays, which is a finding."""
        if not any(wire):
            return wire
        return self._bytes(b"digest", wire)

    # --------------------------------------------------------------------------------------------- text

    def label(self, label: bytes) -> bytes:
        """Return the pseudonym of one label of a domain name, whatever its case."""
        lower = label.lower()
        if lower in self._kept or lower in _SERVICES:
            return label
        usual = _USUAL.match(lower)
        if usual:
            mixed = usual[0] + self._characters(b"label", lower[usual.end() :])
        else:
            mixed = self._characters(b"label", lower)
            while self._stays(mixed):  # no pseudonym looks like what has none; that ends, since it is a cycle
                mixed = self._characters(b"label", mixed)
        return bytes(new - 32 if old in _UPPER else new for old, new in zip(label, mixed, strict=True))

    def _stays(self, label: bytes) -> bool:
        return label in self._kept or label in _SERVICES or _USUAL.match(label) is not None

    def name(self, text: bytes) -> bytes:
        """Return the pseudonym of a domain name, or of an address in its place."""
        if _ADDRESS_TEXT.fullmatch(text):
            return self._address_text(text)
        return b".".join(map(self.label, text.split(b".")))

    def token(self, text: bytes) -> bytes:
        """Return the pseudonym of any text: words are replaced, addresses as such, and the rest stays.

        Bytes beyond ASCII become question marks.
        """
        text = bytes(byte if 9 <= byte < 127 else 63 for byte in text)
        out, at = [], 0
        for found in _ADDRESS_TEXT.finditer(text):
            out += [self._words(text[at : found.start()]), self._address_text(found[0])]
            at = found.end()
        return b"".join([*out, self._words(text[at:])])

    def _words(self, text: bytes) -> bytes:
        return _WORD.sub(lambda found: self._characters(b"word", found[0]), text)

    def _address_text(self, text: bytes) -> bytes:
        octets = [int(octet) for octet in text.split(b".")]
        if max(octets) > 255 or b".".join(b"%d" % octet for octet in octets) != text:
            return self._words(text)
        return b".".join(b"%d" % octet for octet in self.ipv4(bytes(octets)))

    def _characters(self, kind: bytes, text: bytes) -> bytes:
        """Mix the letters and digits of a text among themselves, each within its kind; others stay."""
        places = [
            (at, group)
            for at, byte in enumerate(text)
            for group in (_LOWER, _UPPER, _DIGITS)
            if byte in group
        ]
        mixed = self._mix(
            kind, [text[at] - group.start for at, group in places], [len(group) for _, group in places]
        )
        out = bytearray(text)
        for (at, group), value in zip(places, mixed, strict=True):
            out[at] = group.start + value
        return bytes(out)

    # ----------------------------------------------------------------------------------- the keyed mappings

    def _bytes(self, kind: bytes, wire: bytes) -> bytes:
        return bytes(self._mix(kind, list(wire), [256] * len(wire)))

    def _mix(self, kind: bytes, values: list[int], sizes: Sequence[int]) -> list[int]:
        """Map numbers to others within their sizes: a Feistel network of unequal halves, so a bijection."""
        half = len(values) // 2
        shape = b"%s\0%d\0" % (kind, len(values)) + bytes(size % 256 for size in sizes)
        for number in range(_ROUNDS):
            fixed, moved = (range(half), range(half, len(values)))[:: 1 if number % 2 else -1]
            seed = shape + bytes([number]) + bytes(values[at] for at in fixed)
            stream = self._stream(seed, 4 * len(moved))
            for place, at in enumerate(moved):
                shift = int.from_bytes(stream[4 * place : 4 * place + 4])
                values[at] = (values[at] + shift) % sizes[at]
        return values

    def _stream(self, seed: bytes, size: int) -> bytes:
        first = blake2b(seed, key=self._key).digest()
        if size <= len(first):
            return first
        # The seed is hashed but once: it may be as long as a text.
        blocks = range(-(-size // len(first)))
        return b"".join(blake2b(first, key=self._key, salt=block.to_bytes(16)).digest() for block in blocks)

    def _swap(self, prefix: bytes, octet: int, classes: _Octets) -> int:
        """Return what stands for an octet behind a prefix: another of its class."""
        for octets in classes:
            if octet in octets:
                return self._order(prefix, octets)[octet]
        return octet

    def _order(self, prefix: bytes, octets: Iterable[int]) -> dict[int, int]:
        members = list(octets)
        key = (prefix, members[0])
        order = self._orders.get(key)
        if order is None:
            seed = b"octet\0" + prefix
            shuffled = sorted(members, key=lambda octet: self._stream(seed + bytes([octet]), 8))
            order = self._orders[key] = dict(zip(members, shuffled, strict=True))
        return order
