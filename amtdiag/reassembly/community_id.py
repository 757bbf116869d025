"""Community ID v1: one identifier for a conversation that Zeek, Suricata and Wireshark compute alike."""

from __future__ import annotations

from binascii import b2a_base64
from functools import lru_cache

try:
    # As random does: hashlib loads OpenSSL, which takes longer than all the sums of a run.
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha1

_TCP = 6


@lru_cache(maxsize=4)  # a Hello and its connection ask one after the other
def community_id(src: bytes, dst: bytes, sport: int, dport: int, protocol: int = _TCP) -> str:
    """Return the Community ID of a conversation, the same for both directions.

    Addresses are 4 or 16 bytes. Seed 0. Source: corelight/community-id-spec.
    """
    one, two = (src, sport), (dst, dport)
    if one > two:
        one, two = two, one
    flow = b"\0\0" + one[0] + two[0] + bytes([protocol, 0]) + one[1].to_bytes(2) + two[1].to_bytes(2)
    digest = sha1(flow, usedforsecurity=False).digest()
    return "1:" + b2a_base64(digest, newline=False).decode("ascii")
