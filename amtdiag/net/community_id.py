"""Community ID v1: one identifier for a conversation that Zeek, Suricata and Wireshark compute alike."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

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
    digest = hashlib.sha1(flow, usedforsecurity=False).digest()
    return "1:" + base64.b64encode(digest).decode("ascii")
