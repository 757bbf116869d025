"""Other libraries at live capture: count what the filter lets through until SIGINT. Run by `live.py`.

python benchmarks/listeners.py scapy|pyshark IFACE

Prints when the first packet came, in nanoseconds since 1970, and how many they were.
"""

from __future__ import annotations

import signal
import sys
import threading
import time

from task import FILTER


def with_scapy(iface: str) -> tuple[int, int]:
    from scapy.sendrecv import AsyncSniffer

    first, count = 0, 0

    def take(_packet: object) -> None:
        nonlocal first, count
        first = first or time.time_ns()
        count += 1

    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    sniffer = AsyncSniffer(iface=iface, filter=FILTER, store=False, prn=take)
    sniffer.start()
    ended.wait()
    sniffer.stop()
    return first, count


def with_pyshark(iface: str) -> tuple[int, int]:
    import pyshark

    first, count = 0, 0
    capture = pyshark.LiveCapture(interface=iface, bpf_filter=FILTER, use_ek=True)
    try:
        for _ in capture.sniff_continuously():
            first = first or time.time_ns()
            count += 1
    except KeyboardInterrupt:
        pass
    return first, count


def main() -> None:
    library, iface = sys.argv[1:]
    print(*{"scapy": with_scapy, "pyshark": with_pyshark}[library](iface), flush=True)


if __name__ == "__main__":
    main()
