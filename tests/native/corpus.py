"""Writes the seed corpus: every capture of the samples and the shapes, unpacked, a file each."""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from shapes import SHAPES, pcap, plain, prefixed, psk, records, tunnel  # noqa: E402 - the path comes first

SUFFIXES = {".pcap", ".pcapng"}
MOST = 8192
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
    for number, data in enumerate(sorted(contents)):
        (target / f"{number:04}").write_bytes(data[:MOST])
    print(f"{len(contents)} seeds in {target}")


if __name__ == "__main__":
    main()
