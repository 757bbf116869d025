"""A classic BPF machine, as small as the programs that it runs here; by the kernel's filter.rst."""

from __future__ import annotations

from collections.abc import Sequence

from amtdiag.capture.prefilter.bpf import (
    ADD,
    ADD_X,
    AND,
    JEQ,
    JGE,
    JSET,
    JUMP,
    LD_B,
    LD_H,
    LD_MEM,
    LDX_B,
    LDX_H,
    LDX_IMM,
    LSH,
    RET,
    ST,
    TAX,
    TXA,
    Instruction,
)  # fmt: skip


def taken(program: Sequence[Instruction], packet: bytes) -> int:
    """Run a program over a packet; return how many bytes of it are to be taken."""
    a = x = at = 0
    memory = [0] * 16
    sizes = {LD_H: 2, LD_B: 1, LDX_H: 2, LDX_B: 1}
    while True:
        code, jt, jf, k = program[at]
        at += 1
        if code in sizes:
            start = k + (x if code in (LDX_H, LDX_B) else 0)
            if start + sizes[code] > len(packet):
                return 0  # a load beyond the end ends the program
            a = int.from_bytes(packet[start : start + sizes[code]])
        elif code == RET:
            return k
        elif code == JUMP:
            at += k
        elif code in (JEQ, JGE, JSET):
            at += jt if {JEQ: a == k, JGE: a >= k, JSET: bool(a & k)}[code] else jf
        elif code == ST:
            memory[k] = a
        else:
            a, x = {
                LD_MEM: (memory[k % 16], x), LDX_IMM: (a, k), TAX: (a, a), TXA: (x, x), ADD: (a + k, x),
                ADD_X: (a + x, x), AND: (a & k, x), LSH: (a << (k % 32), x),
            }[code]  # fmt: skip
