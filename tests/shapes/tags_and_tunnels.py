"""A Hello behind VLAN tags, LLC, PPPoE and MPLS, in tunnels, and before padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shapes.conversations import plain, split2
from shapes.messages import ANY, REAL, psk
from shapes.packets import FLOW, FLOW6, STRICT
from shapes.stored import record, records
from shapes.truth import Shape, single
from shapes.wrappings import ERSPAN2, Link, ethernet, llc_snap, mpls, pppoe, tunnel

_Q, _AD = 0x8100, 0x88A8
TAGS: Mapping[str, Link] = {
    "8021q": ethernet((_Q, 100)),
    "8021q_vid_4094": ethernet((_Q, 4094)),
    "qinq": ethernet((_AD, 200), (_Q, 100)),
    "qinq_8100_twice": ethernet((_Q, 200), (_Q, 100)),
    "triple_tags": ethernet((_AD, 300), (_Q, 200), (_Q, 100)),
    "tag_9100": ethernet((0x9100, 200), (_Q, 100)),
}
STACKS: Mapping[str, Link] = {
    "pppoe": ethernet(body=pppoe),
    "pppoe_in_vlan": ethernet((_Q, 7), body=pppoe),
    "mpls_1_label": ethernet(body=mpls(16001)),
    "mpls_3_labels": ethernet(body=mpls(16001, 16002, 16003)),
    "mpls_in_vlan": ethernet((_Q, 7), body=mpls(16001)),
    "llc_snap": ethernet(body=llc_snap),
    "llc_snap_in_vlan": ethernet((_Q, 7), body=llc_snap),
}
PSEUDOWIRE = replace(ethernet(body=mpls(16001, 24, pseudowire=True)), shows_mac=ANY)
TUNNELS: Mapping[str, Link] = {
    "gre": tunnel(47, b"\0\0\x08\0"),
    "erspan_2": tunnel(47, ERSPAN2, inner_ethernet=True),
    "vxlan": tunnel(17, b"\x08\0\0\0\0\0\x2a\0", inner_ethernet=True, udp_port=4789),
    "ip_in_ip": tunnel(4, b""),
}
IPV6_IN_IPV4 = tunnel(41, b"")


def _tags() -> Iterator[Shape]:
    for name, link in TAGS.items():
        yield single(f"vlan_{name}", split2(), link=link)
        yield single(f"vlan_{name}_40000", plain(REAL, STRICT, 400), link=link)
    priority = [record(packet, replace(ethernet((_Q, 0xE000)), vlan=ANY)) for packet in split2()]
    yield single("vlan_priority_tag", priority, notes=("[] and [0] are both fair: VLAN 0 is no VLAN",))
    bits = [record(packet, replace(ethernet((_Q, 0x7064)), vlan=(100,))) for packet in split2()]
    yield single("vlan_with_priority_bits", bits)


def _stacks() -> Iterator[Shape]:
    for name, link in STACKS.items():
        yield single(f"link_{name}", split2(), link=link)
        yield single(f"link_{name}_40000", plain(REAL, STRICT), link=link)
        yield single(f"link_{name}_ipv6", plain(REAL, FLOW6, 400), link=link)
    told = ("-d", "mpls.label==24,pwethcw")  # left alone, tshark guesses that there is no control word
    for name, flow in (("", FLOW), ("_40000", STRICT)):
        packets = plain(REAL, flow, 400)
        yield single(f"link_mpls_pseudowire{name}", packets, link=PSEUDOWIRE, tshark_options=told)


def _padding() -> Iterator[Shape]:
    padded: dict[str, Any] = {"pad_to": 60, "after": 6}
    yield single("padding_of_zeros", records(plain(psk()), **padded))
    yield single("padding_of_garbage", records(plain(psk()), fill=b"\xfe\xed\3", **padded))
    yield single("padding_of_garbage_40000", records(plain(psk(), STRICT, 8), fill=b"\xfe\xed\3", **padded))
    yield single("padding_of_garbage_ipv6", records(plain(psk(), FLOW6), fill=b"\xfe\xed\3", **padded))
    yield single(
        "padding_in_llc_snap", records(plain(psk()), link=ethernet(body=llc_snap), fill=b"\xfe", pad_to=100)
    )


def _tunnels() -> Iterator[Shape]:
    for name, link in TUNNELS.items():
        yield single(f"tunnel_{name}", split2(), link=link, optional=True)
    yield single("tunnel_ipv6_in_ipv4", plain(REAL, FLOW6, 400), link=IPV6_IN_IPV4, optional=True)


SHAPES: tuple[Shape, ...] = (*_tags(), *_stacks(), *_padding(), *_tunnels())
