"""A Hello of which something comes twice, late, cut or not at all."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from shapes.containers import pcap
from shapes.conversations import Talk, plain, split2, without
from shapes.messages import REAL, SIZE, psk
from shapes.packets import FIN, FLOW, STRICT
from shapes.stored import records, snapped
from shapes.truth import Shape, single


def _order_and_loss() -> Iterator[Shape]:
    talk = Talk().open().send().server_ack(0).wait(200_000_000).send().server_ack().close()
    yield single("retransmission_whole", talk.packets)
    talk = Talk().open().send_in_order((0, 400), (200, 600), (600, SIZE)).close()
    yield single("retransmission_partial_overlap", talk.packets)
    talk = Talk().open().send(0, 400).send(200, 600, data=b"\xee" * 200).send(600).server_ack().close()
    yield single("retransmission_other_bytes_first_wins", talk.packets)
    talk = Talk().open().send(0, 400).send(400).send(0, SIZE, data=b"\xee" * SIZE).server_ack().close()
    yield single("retransmission_whole_other_bytes_first_wins", talk.packets)
    talk = Talk().open().send().server_ack(0).fin().send(flags=FIN).server_ack().server_fin()
    yield single("retransmission_with_fin", talk.packets)
    yield single(
        "lost_then_retransmitted",
        without(Talk().open().send(0, 400).send(400).send(0, 400).close().packets, 3),
    )
    yield single("syn_twice", Talk().syn().wait(10**9).open().send_all().close().packets)
    talk = Talk().open().probe(0, b"\xaa").server_ack(0).probe(0, b"").server_ack(0)
    yield single("keep_alive_before", talk.send_all().close().packets)
    talk = Talk().open().send_all().probe(SIZE, b"\xaa").server_ack().probe(SIZE, b"").server_ack()
    yield single("keep_alive_after", talk.close().packets)
    talk = (
        Talk(flow=STRICT)
        .open()
        .probe(0, b"\xaa")
        .server_ack(0)
        .send_all(400)
        .probe(SIZE, b"\xaa")
        .server_ack()
    )
    yield single("keep_alive_around_40000", talk.close().packets)
    talk = (
        Talk().open().send(0, 400).server_ack(400).probe(400, b"\xaa").server_ack(400).send(400).server_ack()
    )
    yield single("keep_alive_between", talk.close().packets)
    yield single(
        "zero_window_probe", Talk().open().send(0, 1).server_ack(0).send().server_ack().close().packets
    )
    for name, isn in (("inside", 2**32 - 300), ("at_edge", 2**32 - 401), ("at_syn", 2**32 - 1)):
        yield single(f"sequence_wrap_{name}", split2(isn=isn))
    talk = Talk(isn=2**32 - 300).open().send_in_order((400, SIZE), (0, 400)).close()
    yield single("sequence_wrap_out_of_order", talk.packets)

    for port, flow in ((9971, FLOW), (40000, STRICT)):
        yield single(f"no_syn_{port}", Talk(flow=flow).send_all(400).close().packets)
        yield single(f"only_syn_ack_{port}", without(plain(REAL, flow), 0))
        yield single(f"only_data_{port}", Talk(flow=flow).send().packets)
        yield single(f"only_data_with_fin_{port}", Talk(flow=flow).send(flags=FIN).packets)
    yield single("only_data_psk_40000", Talk(psk(), STRICT).send().packets)
    talk = Talk().send_in_order((400, SIZE), (0, 400)).close()
    yield single("no_syn_out_of_order", talk.packets, tshark_follows=False)
    yield single("one_direction", [packet for packet in split2() if packet.outbound])
    yield single(
        "keep_alive_garbage_no_syn",
        Talk().probe(0, b"\xaa").server_ack(0).send_all().close().packets,
        optional=True,
        notes=("nothing but the server's acknowledgement tells that the first byte is garbage",),
    )
    yield single("fin_in_data_segment", Talk().open().send(0, 400).send(400, flags=FIN).server_fin().packets)
    yield single("rst_instead_of_fin", Talk().open().send_all().rst().packets)
    yield single("server_rst_after_data", Talk().open().send_all().server_rst().packets)
    yield single("rst_after_close", Talk().open().send_all().close().rst(SIZE + 1).packets)
    yield single("no_end", Talk().open().send_all().packets)
    yield single(
        "rst_inside_hello", Talk().open().send(0, 400).server_ack(400).rst(400).packets, missing_bytes=None
    )

    lossy = plain(REAL, FLOW, 400, 600)  # the data is in packets 3, 5 and 7
    yield single("lost_middle_segment", without(lossy, 5))
    yield single("lost_middle_segment_40000", without(plain(REAL, STRICT, 400, 600), 5))
    yield single("lost_inside_one_digest", without(plain(REAL, FLOW, 30, 50), 5))
    yield single("lost_last_segment", without(lossy, 7))
    yield single("lost_last_segment_and_end", lossy[:6], missing_bytes=None)
    yield single("lost_first_segment", without(lossy, 3))
    yield single("lost_header", without(plain(REAL, FLOW, 24), 3))
    for snaplen in (60, 128, 300):
        yield single(
            f"snaplen_{snaplen}", snapped(records(plain()), snaplen), functools.partial(pcap, snaplen=snaplen)
        )
    yield single("snaplen_128_40000", snapped(records(plain(REAL, STRICT)), 128))
    yield single("snaplen_54_no_payload", snapped(records(plain()), 54), hellos=())


SHAPES: tuple[Shape, ...] = tuple(_order_and_loss())
