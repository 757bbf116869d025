"""Other libraries at the same task: count the packets on the ports of provisioning. Run by `run.py`.

python benchmarks/readers.py scapy|dpkt|pyshark FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

from task import DISPLAY_FILTER

TCP_PORTS = frozenset({9971, 9972, *range(16992, 16996), 664, 4433, 53})
UDP_PORTS = frozenset({53, 67, 68, 546, 547, 623, 664})


def with_scapy(path: str) -> int:
    from scapy.layers.inet import TCP, UDP
    from scapy.utils import PcapReader

    found = 0
    with PcapReader(path) as packets:
        for packet in packets:
            for layer, ports in ((TCP, TCP_PORTS), (UDP, UDP_PORTS)):
                if layer in packet:
                    found += packet[layer].sport in ports or packet[layer].dport in ports
    return found


def with_dpkt(path: str) -> int:
    import dpkt

    found = 0
    with Path(path).open("rb") as file:
        for _, data in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(data).data
            transport = getattr(packet, "data", None)
            if isinstance(transport, dpkt.tcp.TCP):
                found += transport.sport in TCP_PORTS or transport.dport in TCP_PORTS
            elif isinstance(transport, dpkt.udp.UDP):
                found += transport.sport in UDP_PORTS or transport.dport in UDP_PORTS
    return found


def with_pyshark(path: str) -> int:
    import pyshark

    capture = pyshark.FileCapture(path, display_filter=DISPLAY_FILTER, use_ek=True, keep_packets=False)
    found = sum(1 for _ in capture)
    capture.close()
    return found


def main() -> None:
    reader, path = sys.argv[1:]
    print({"scapy": with_scapy, "dpkt": with_dpkt, "pyshark": with_pyshark}[reader](path))


if __name__ == "__main__":
    main()
