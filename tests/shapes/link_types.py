"""A Hello on each link type: `LINKS` says how packets are wrapped in it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace

from shapes.conversations import plain, split2
from shapes.messages import REAL
from shapes.packets import FLOW6, STRICT
from shapes.truth import Shape, single
from shapes.wrappings import RAW, Link, ether_type, ethernet, family, ppp, pppoe, prefixed, sll, sll2

LINKS: Mapping[int, Mapping[str, Link]] = {
    0: {
        "null_little_endian": prefixed(0, family("<", 24)),
        "null_big_endian": prefixed(0, family(">", 28)),
        "null_30": prefixed(0, family("<", 30)),
    },
    1: {"ethernet": ethernet()},
    9: {
        "ppp_9": prefixed(9, ppp()),
        "ppp_9_address_control": prefixed(9, ppp(b"\xff\3")),
        "ppp_9_short_protocol": prefixed(9, ppp(short=True)),
    },
    12: {"raw_12": prefixed(12, b"")},
    14: {"raw_14": prefixed(14, b"")},
    50: {"ppp_serial_50": prefixed(50, ppp(b"\xff\3"))},
    51: {"ppp_ether_51": prefixed(51, lambda packet: pppoe(packet)[1][:8])},
    101: {"raw_101": RAW},
    104: {"cisco_hdlc_104": prefixed(104, lambda packet: b"\x0f\0" + ether_type(packet).to_bytes(2, "big"))},
    108: {"loop": prefixed(108, family(">"))},
    113: {
        "sll": prefixed(113, sll, shows_mac=True),
        "sll_vlan": replace(prefixed(113, functools.partial(sll, vid=100), shows_mac=True), vlan=(100,)),
    },
    166: {"ppp_pppd_166": prefixed(166, ppp(b"\xff\3"))},
    204: {"ppp_with_direction_204": prefixed(204, ppp(b"\1\xff\3"))},
    228: {"ipv4_228": prefixed(228, b"")},
    229: {"ipv6_229": prefixed(229, b"")},
    276: {"sll2": prefixed(276, sll2, shows_mac=True)},
}
"""By the number of the link type: links, by name, each from the definition of the type."""

_ONLY_IPV4, _ONLY_IPV6 = {228}, {229}
_NOT_IN_WIRESHARK = {166}
"""Of these are no shapes, since tshark cannot check them."""


def _link_types() -> Iterator[Shape]:
    for number, links in LINKS.items():
        if number in _NOT_IN_WIRESHARK:
            continue
        for name, link in links.items():
            if number not in _ONLY_IPV6:
                yield single(f"link_{name}", split2(), link=link)
                yield single(f"link_{name}_40000", plain(REAL, STRICT), link=link)
            if number not in _ONLY_IPV4:
                yield single(f"link_{name}_ipv6", plain(REAL, FLOW6, 400), link=link)


SHAPES: tuple[Shape, ...] = tuple(_link_types())
