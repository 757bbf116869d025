"""Writes what the drivers of the C sieve need: seed captures, and the table of link types as a header file.

The seeds are all captures of the samples and the shapes, unpacked, a file each. The table has rows of a kind
that no link type has yet as well.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from invented_links import INVENTED, packets_of  # noqa: E402 - the path comes first
from shapes import FLOW, SHAPES, other, pcap, plain, prefixed, psk, records, tunnel  # noqa: E402

from amtdiag.capture.decode.linktypes import LINK_TYPES, packed  # noqa: E402

SUFFIXES = {".pcap", ".pcapng"}
MAX_SEED = 8192
RARE = (
    tunnel(47, b"\0\0\x65\x58", inner_ethernet=True),
    tunnel(47, b"\x30\0\x22\xeb" + bytes(8) + bytes(12), inner_ethernet=True),
    prefixed(9, b"\xff\3\2\x81\0\1\1\xff"),
    prefixed(1, bytes(12) + b"\x88\x64\x11\0\0\1\0\0\2\x81\0\1\1\xff"),
)
"""Links that no shape has."""


def main() -> None:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    contents: set[bytes] = set()
    for path in sorted((ROOT / "sample_pcaps").rglob("*")):
        if path.is_file() and SUFFIXES.intersection(path.suffixes):
            data = path.read_bytes()
            contents.add(gzip.decompress(data) if path.suffix == ".gz" else data)
    for shape in SHAPES:
        if not shape.needs:
            with tempfile.TemporaryDirectory() as folder:
                contents.update(path.read_bytes() for path in shape.build(Path(folder)))
    contents.update(pcap(records(plain(psk()), link)) for link in RARE)
    ip = plain(psk(), replace(FLOW, dport=40000), 3)
    for number in INVENTED:
        packets = [other(data) for packet in ip for data in packets_of(number, packet.ip)]
        contents.add(pcap(packets, linktype=number))
    for number, data in enumerate(sorted(contents)):
        (target / f"{number:04}").write_bytes(data[:MAX_SEED])
    rows = ", ".join(map(str, packed({**LINK_TYPES, **INVENTED})))
    (target.parent / "links.h").write_text(f"static const uint8_t LINKS[] = {{{rows}}};\n", encoding="ascii")
    print(f"{len(contents)} seeds in {target}")


if __name__ == "__main__":
    main()
