"""Several conversations: of several devices, on one port again, over several files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shapes.containers import pcapng
from shapes.conversations import Talk, interleaved, plain
from shapes.messages import REAL, device_uuid, psk, real
from shapes.packets import FLOW, STEP, STRICT, T0, device
from shapes.stored import records
from shapes.truth import Shape, several, single
from shapes.wrappings import RAW


def _several_conversations() -> Iterator[Shape]:
    first = plain(REAL, device(20), 400)
    second = plain(real(uuid_wire=device_uuid(21)), device(21), 300, 600, start=T0 + 500_000)
    yield single("two_devices_interleaved", interleaved(first, second))
    nat = [
        plain(psk(uuid_wire=device_uuid(n)), replace(FLOW, sport=50000 + n), 10, start=T0 + n * 1000)
        for n in range(1, 9)
    ]
    yield single("eight_devices_behind_one_address", interleaved(*nat))
    retries = [
        plain(
            real(retry=n),
            FLOW,
            400,
            isn=0x10000000 + n * 0x01234567,
            start=T0 + n * 60 * 10**9,
            ip_id=101 + 20 * n,
        )
        for n in range(3)
    ]
    yield single("retries_on_one_source_port", interleaved(*retries))
    for name, isn in (("far", 0x50000000), ("inside_old_range", 0x10000000 + 500), ("below", 0x0FFFFF00)):
        old = Talk(psk(), FLOW).open().send().rst()
        again = (
            Talk(real(retry=1), FLOW, start=old.clock + 2_000_000, isn=isn, ip_id=200)
            .open()
            .send_all(400)
            .close()
        )
        yield single(f"reused_after_rst_isn_{name}", old.packets + again.packets)
    old = Talk(REAL, FLOW).open().send(0, 400).rst(400)
    again = (
        Talk(real(retry=1), FLOW, start=old.clock + 2_000_000, isn=0x10000000 + 600, ip_id=200)
        .open()
        .send_all()
    )
    broken = single("reused_after_half_a_hello", old.packets + again.close().packets)
    hellos = tuple(replace(h, missing_bytes=None) for h in broken.truth.hellos)
    yield replace(broken, truth=replace(broken.truth, hellos=hellos))
    closed = [
        plain(real(retry=n), FLOW, isn=0x10000000 + n * 1000, start=T0 + n * 40 * STEP, ip_id=101 + 20 * n)
        for n in (0, 1)
    ]
    yield single("reused_after_close", interleaved(*closed))

    packets = plain(REAL, FLOW, 300, 600)
    ring = (("ring_a.pcap", packets[5:7]), ("ring_b.pcap", packets[7:]), ("ring_c.pcap", packets[:5]))
    yield several("ring_names_not_in_time_order", [(name, records(chosen)) for name, chosen in ring])
    packets = plain(REAL, FLOW, 300, 600)
    ring = (("ring_1.pcap", packets[:4]), ("ring_2.pcap", packets[4:6]), ("ring_3.pcap", packets[6:]))
    yield several("ring_in_order", [(name, records(chosen)) for name, chosen in ring])
    yield several("ring_pcapng", [(n + "ng", records(chosen)) for n, chosen in ring], pcapng)
    packets = plain(REAL, STRICT, 10)
    ring = (("ring_1.pcap", packets[:3]), ("ring_2.pcap", packets[3:5]), ("ring_3.pcap", packets[5:]))
    yield several("ring_boundary_after_syn_40000", [(name, records(chosen)) for name, chosen in ring])
    yield several("ring_gap", [(name, records(chosen)) for name, chosen in ring[::2]], may_be_absent=True)
    yield several("overlapping_files", [("east.pcap", records(first)), ("west.pcap", records(second))])
    late = [replace(packet, at=packet.at + 40_000) for packet in first]
    yield several(
        "overlapping_files_same_packets",
        [("east.pcap", records(first)), ("west.pcap", records(late))],
        evidence=tuple((file, frame) for file in ("east.pcap", "west.pcap") for frame in (4, 6)),
        notes=("one Hello, which both views show",),
    )
    yield several(
        "files_of_different_kinds",
        [("first.pcap", records(first)), ("second.pcap", records(second, RAW)), ("third.pcap", [])],
    )


SHAPES: tuple[Shape, ...] = tuple(_several_conversations())
