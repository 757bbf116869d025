"""The kernel's filter for a live capture: made from an `Interest`, as data that a socket takes.

Classic BPF (Linux: Documentation/networking/filter.rst). The filter lets through whatever the scan may want,
and more where finding out would take a long walk: datagrams in fragments, tunnels, IPv6 extension headers,
more than two VLAN tags, link types whose header varies. A tag that the network card took off is not in the
packet that the filter sees.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from amtdiag.capture.decode.ip import EXTENSIONS, TUNNELS, VXLAN_PORT
from amtdiag.capture.decode.linktypes import (
    ETHERNET,
    IPV4,
    IPV6,
    LLC_BELOW,
    MPLS,
    PPPOE_SESSION,
    SNAP,
    VLAN_TAGS,
    Following,
    LinkType,
)
from amtdiag.capture.decode.packet import ARP, TCP, UDP
from amtdiag.capture.prefilter.interest import Interest

SNAP_LENGTH = 262_144
"""Bytes of a packet that are taken: all of it."""
MAX_INSTRUCTIONS = 4096
"""The kernel takes no longer program (BPF_MAXINSNS)."""

LD_H, LD_B = 0x28, 0x30
"""Load two bytes, or one, from a fixed place."""
LDX_H, LDX_B = 0x48, 0x50
"""The same, counted from the index register."""
LD_MEM, ST = 0x60, 0x02
LDX_IMM, TAX, TXA = 0x01, 0x07, 0x87
ADD, ADD_X, AND, LSH = 0x04, 0x0C, 0x54, 0x64
JUMP, JEQ, JGE, JSET, RET = 0x05, 0x15, 0x35, 0x45, 0x06

_FRAGMENT_BITS = 0x3FFF
"""Of IPv4's flags and offset: set in every fragment, the first one too."""


class Instruction(NamedTuple):
    """One instruction as the kernel has it."""

    code: int
    jt: int
    """Instructions to pass over where a condition holds."""
    jf: int
    k: int


def packed(program: Sequence[Instruction]) -> bytes:
    """Return a program as an array of `struct sock_filter`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def filter_for(interest: Interest, linktype: int = ETHERNET, *, any_port: bool = False) -> list[Instruction]:
    """Return the program that lets through what may be of interest.

    With `any_port` it lets all TCP through: only so is a Hello on an unexpected port seen.
    """
    code = _Assembler()
    link = interest.link_types[linktype]
    if link.length is None and link.following == Following.ETHERTYPE:
        _ethertype(code, link)
    elif link.length is None and link.following == Following.IP:
        _version(code, link)
    else:
        code.emit(RET, SNAP_LENGTH)
        return code.program()
    _network(code, interest)
    _transport(code, interest, any_port=any_port)
    return code.program()


def both(first: Sequence[Instruction], second: Sequence[Instruction]) -> list[Instruction]:
    """Return a program that lets through what both let through; the second begins where the first accepts.

    The first has to return constants, as libpcap's programs do.
    """
    joined = list(first)
    for at, instruction in enumerate(first):
        if instruction.code == RET and instruction.k:
            joined[at] = Instruction(JUMP, 0, 0, len(first) - at - 1)
    return [*joined, *second]


class _Assembler:
    """Instructions with labels to jump to. All jumps go forward, as the kernel demands."""

    def __init__(self) -> None:
        self._code: list[Instruction] = []
        self._jumps: dict[int, str] = {}
        self._labels: dict[str, int] = {}

    def emit(self, code: int, k: int = 0) -> None:
        self._code.append(Instruction(code, 0, 0, k))

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def go(self, label: str) -> None:
        self._jumps[len(self._code)] = label
        self.emit(JUMP)

    def go_if(self, test: int, values: Iterable[int], label: str) -> None:
        """Jump where the test holds for one of the values.

        A condition reaches no further than 255 instructions, so that it only passes over a plain jump.
        """
        for value in values:
            self._code.append(Instruction(test, 0, 1, value))
            self.go(label)

    def take_if(self, test: int, values: Iterable[int]) -> None:
        """Let the packet through where the test holds for one of the values."""
        for value in values:
            self._code.append(Instruction(test, 0, 1, value))
            self.emit(RET, SNAP_LENGTH)

    def program(self) -> list[Instruction]:
        """Return the program with its jumps filled in."""
        code = list(self._code)
        for at, label in self._jumps.items():
            code[at] = code[at]._replace(k=self._labels[label] - at - 1)
        return code


def _ethertype(code: _Assembler, link: LinkType) -> None:
    """Leave the EtherType in the accumulator and where the network layer begins in the index register."""
    for tags in range(3):
        start = link.header + 4 * tags
        if tags:
            code.label(f"tag {tags}")
        code.emit(LDX_IMM, start)
        code.emit(LD_H, start - 2 if tags else link.type_at)
        if tags < 2:
            code.go_if(JEQ, sorted(VLAN_TAGS), f"tag {tags + 1}")
            code.go("ethertype")
    code.take_if(JEQ, sorted(VLAN_TAGS))
    code.label("ethertype")
    code.go_if(JEQ, [IPV4], "ipv4")
    code.go_if(JEQ, [IPV6], "ipv6")
    code.take_if(JEQ, [ARP, PPPOE_SESSION, *sorted(MPLS)])
    code.go_if(JGE, [LLC_BELOW], "drop")
    code.emit(LDX_H, 0)
    code.take_if(JEQ, [int.from_bytes(SNAP[0][:2])])
    code.label("drop")
    code.emit(RET, 0)


def _version(code: _Assembler, link: LinkType) -> None:
    """Tell IPv4 and IPv6 apart; leave where they begin in the index register."""
    code.emit(LDX_IMM, link.header)
    code.emit(LDX_B, 0)
    code.emit(AND, 0xF0)
    code.go_if(JEQ, [0x40], "ipv4")
    code.go_if(JEQ, [0x60], "ipv6")
    code.emit(RET, 0)


def _network(code: _Assembler, interest: Interest) -> None:
    """Leave the protocol in the accumulator and where its header begins in the index register."""
    code.label("ipv4")
    code.emit(LDX_B, 9)
    code.emit(ST, 0)
    code.emit(LDX_H, 6)
    code.go_if(JSET, [_FRAGMENT_BITS], "fragment")
    code.emit(LDX_B, 0)
    code.emit(AND, 0x0F)
    code.emit(LSH, 2)
    code.emit(ADD_X)
    code.emit(TAX)
    code.emit(LD_MEM, 0)
    code.go("protocol")
    code.label("fragment")
    code.emit(LD_MEM, 0)
    code.take_if(JEQ, [TCP, UDP, *interest.messages])
    code.emit(RET, 0)
    code.label("ipv6")
    code.emit(LDX_B, 6)
    code.emit(ST, 0)
    code.emit(TXA)
    code.emit(ADD, 40)
    code.emit(TAX)
    code.emit(LD_MEM, 0)
    code.label("protocol")


def _transport(code: _Assembler, interest: Interest, *, any_port: bool) -> None:
    code.go_if(JEQ, [TCP], "tcp")
    code.go_if(JEQ, [UDP], "udp")
    for protocol in interest.messages:
        code.go_if(JEQ, [protocol], f"icmp {protocol}")
    code.take_if(JEQ, [*sorted(TUNNELS), *sorted(EXTENSIONS)])
    code.emit(RET, 0)
    for protocol, message in interest.messages.items():
        code.label(f"icmp {protocol}")
        code.emit(LDX_B, 0)
        code.take_if(JEQ, [message])
        code.emit(RET, 0)
    code.label("tcp")
    if any_port:
        code.emit(RET, SNAP_LENGTH)
    else:
        _ports(code, interest.ports)
    code.label("udp")
    _ports(code, {*interest.datagram_ports, int.from_bytes(VXLAN_PORT)})


def _ports(code: _Assembler, ports: Iterable[int]) -> None:
    """Let the packet through where its source or destination port is one of these."""
    for at in (0, 2):
        code.emit(LDX_H, at)
        code.take_if(JEQ, sorted(ports))
    code.emit(RET, 0)
