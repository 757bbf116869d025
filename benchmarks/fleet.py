"""Captures in which every packet matters: what the analysis itself costs, beside tshark printing five fields.

    python benchmarks/fleet.py                         20,000 devices, and five times as many
    python benchmarks/fleet.py --help

Ten packets a device: it finds its server in DNS, says Hello, and the server calls back and begins TLS. tshark
(`-T fields` of addresses, ports and payload) decodes and prints; amtdiag follows each device, runs all rules
and writes the whole report. Every round runs each tool once; what is quoted are medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from captures import ACK, PSH_ACK, START, SYN, address, file_header, hello, ipv4_frame, record
from run import AMTDIAG, Run, Tool, machine, run
from task import MEGA, Truth, put_into

FIELDS = ("ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "tcp.payload")
GROWTH = 5
FIN_ACK = 17
KINDS_OF_HELLO = 64
"""Firmware lists in the fleet: devices of one model share theirs."""


def every_packet(output: str, truth: Truth) -> bool:
    return output.count("\n") == truth.packets


TSHARK = Tool(
    "tshark",
    ("tshark", "-n", "-r", "{}", "-T", "fields", *(word for field in FIELDS for word in ("-e", field))),
    every_packet,
)
TOOLS = (AMTDIAG, TSHARK)


def conversation(number: int, said: bytes) -> Iterator[bytes]:
    """What one device and its servers send."""
    device, server, resolver = address(0x10000 + number), address(16), address(1)
    port = 49152 + number % 16_000
    name = b"".join(bytes([len(part)]) + part for part in (b"provisionserver", b"corp", b"example")) + b"\0"
    asked = name + b"\0\1\0\1"
    xid = (number & 0xFFFF).to_bytes(2)
    answer = asked + b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4" + server
    there, back = (device, server, 6, (port, 9971)), (server, device, 6, (9971, port))
    call = (server, device, 6, (port, 16993))
    end = 101 + len(said)
    yield ipv4_frame(device, resolver, 17, (port, 53), xid + b"\1\0\0\1\0\0\0\0\0\0" + asked)
    yield ipv4_frame(resolver, device, 17, (53, port), xid + b"\x81\x80\0\1\0\1\0\0\0\0" + answer)
    yield ipv4_frame(*there, b"", SYN, 100)
    yield ipv4_frame(*back, b"", SYN | ACK, 500)
    yield ipv4_frame(*there, b"", ACK, 101)
    yield ipv4_frame(*there, said, PSH_ACK, 101)
    yield ipv4_frame(*back, b"", ACK, 501)
    yield ipv4_frame(*there, b"", FIN_ACK, end)
    yield ipv4_frame(*call, b"", SYN, 700)
    yield ipv4_frame(*call, b"\x16\x03\x01\0\x3b\1\0\0\x37\3\3" + bytes(53), PSH_ACK, 701)


def write(path: Path, devices: int) -> Truth:
    random = np.random.default_rng(1)
    lists = [hello(random) for _ in range(KINDS_OF_HELLO)]
    packets = 0
    with path.open("wb") as out:
        out.write(file_header("pcap"))
        for number in range(devices):
            like = lists[number % KINDS_OF_HELLO]
            for frame in conversation(number, like[:8] + number.to_bytes(4) + random.bytes(12) + like[24:]):
                seconds, fraction = divmod(START + packets * 20, MEGA)
                blank = record(frame, "pcap")
                out.write(seconds.to_bytes(4, "little") + fraction.to_bytes(4, "little") + blank[8:])
                packets += 1
        return Truth(packets, packets, devices, out.tell())


def median(runs: list[Run], what: str) -> float:
    return statistics.median(getattr(one, what) for one in runs)


def measure(devices: int, tools: tuple[Tool, ...], rounds: int, folder: Path) -> dict[str, list[Run]]:
    path = folder / "fleet.pcap"
    truth = write(path, devices)
    print(f"bench: {devices:,} devices, {truth.bytes / 1e6:,.0f} MB ...", file=sys.stderr)
    found: dict[str, list[Run]] = {tool.name: [] for tool in tools}
    for number in range(rounds + 1):
        for tool in tools:
            once = run(tool, path, truth)
            if number:
                found[tool.name].append(once)
    path.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Captures in which every packet matters.")
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where the captures go for the time being")
    parser.add_argument("--page", type=Path, help="put the table into this page")
    arguments = parser.parse_args()
    tools = tuple(tool for tool in TOOLS if not tool.is_missing())
    few, many = arguments.devices, GROWTH * arguments.devices
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        results = {few: measure(few, tools, arguments.rounds, Path(folder))}
        results[many] = measure(many, (AMTDIAG,), 1, Path(folder))
    lines = [
        f"{machine()}; {arguments.rounds} rounds (one of {many:,} devices), page cache warm.",
        "",
        "| devices | packets | tool | seconds | CPU seconds | MiB |",
        "|---|---|---|---|---|---|",
    ]
    for devices, runs in results.items():
        for name, each in runs.items():
            cells = f"{median(each, 'seconds'):.1f} | {median(each, 'cpu'):.1f} | {median(each, 'mib'):.0f}"
            lines.append(f"| {devices:,} | {devices * 10:,} | {name} | {cells} |")
    lines.append("")
    ours = results[few]["amtdiag"]
    growth = median(results[many]["amtdiag"], "cpu") / median(ours, "cpu")
    lines += [f"{GROWTH} times as many devices take {growth:.2f} times as long.", ""]
    if TSHARK in tools:
        ratios = [a.seconds / b.seconds for a, b in zip(ours, results[few]["tshark"], strict=True)]
        middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
        lines += [f"amtdiag takes {middle:.2f} times as long as tshark ({least:.2f}-{most:.2f}).", ""]
    text = "\n".join(lines)
    print(text)
    if arguments.page:
        put_into(arguments.page, "fleet", text)


if __name__ == "__main__":
    main()
