"""A Hello cut into segments in every way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shapes.conversations import Talk, interleaved, plain, split2
from shapes.messages import REAL, SIZE, device_uuid, psk, real
from shapes.packets import FLOW, STRICT, SYN, T0
from shapes.truth import Shape, single


def _segments() -> Iterator[Shape]:
    yield single("plain", plain())
    yield single("plain_psk", plain(psk()))
    yield single("split_2", split2())
    yield single("split_3", plain(REAL, FLOW, 25, 500))
    yield single("split_mss_536", plain(mss=536))
    yield single("one_byte_per_segment_9971", plain(mss=1))
    yield single("one_byte_per_segment_40000", plain(REAL, STRICT, mss=1))
    yield single("one_byte_per_segment_psk_40000", plain(psk(), STRICT, mss=1))
    for kind, message in (("pki", real), ("psk", psk)):
        conversations = (
            plain(
                message(uuid_wire=device_uuid(first)),
                replace(STRICT, sport=50000 + first),
                first,
                start=T0 + first * 10**9,
            )
            for first in range(1, 25)
        )
        yield single(f"first_segment_of_1_to_24_bytes_{kind}_40000", interleaved(*conversations))
    for port, flow in ((9971, FLOW), (40000, STRICT)):
        talk = Talk(flow=flow).open().send_in_order((400, SIZE), (0, 400)).close()
        yield single(f"out_of_order_2_{port}", talk.packets)
        talk = Talk(flow=flow).open().send_in_order((500, SIZE), (25, 500), (0, 25)).close()
        yield single(f"out_of_order_last_first_{port}", talk.packets)
        backwards = [(position, position + 1) for position in reversed(range(SIZE))]
        yield single(
            f"out_of_order_bytewise_reversed_{port}",
            Talk(flow=flow).open().send_in_order(*backwards).close().packets,
        )
    talk = Talk().open().send(400).server_ack(0).fin().send(0, 400).server_ack().server_fin()
    yield single("out_of_order_fin_before_data", talk.packets)
    yield single("tcp_timestamps", plain(REAL, FLOW, 400, options=b"\1\1\x08\x0a\0\0\x12\x34\0\0\x56\x78"))
    yield single("data_in_syn", _data_in_syn().packets)


def _data_in_syn() -> Talk:
    """TCP Fast Open: the SYN brings the first bytes."""
    talk = Talk()
    talk.add(SYN, -1, REAL.payload[:400], cargo=(0, 400), options=b"\x02\x04\x05\xb4")
    talk.acked = 400
    talk.syn_ack().send(400).server_ack()
    return talk.close()


SHAPES: tuple[Shape, ...] = tuple(_segments())
