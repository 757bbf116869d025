"""The look-up of the provisioning server in DNS: one question over UDP, and the addresses in the answer."""

from __future__ import annotations

import secrets
import socket
import struct
from typing import NamedTuple

PORT = 53
NAME = "ProvisionServer"
_A, _IN = 1, 1
_RECURSION_DESIRED = 0x0100
_POINTER = 0xC0
_MAX_BYTES = 1500
_MAX_ANSWERS = 64
_TIMEOUTS = (2.0, 3.0)
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


class Found(NamedTuple):
    """What DNS says."""

    name: str
    rcode: int | None
    """None: nothing came."""
    addresses: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.rcode is None:
            return f"DNS says nothing about {self.name}"
        answer = ", ".join(self.addresses) or RCODES.get(self.rcode, f"response code {self.rcode}")
        return f"DNS says of {self.name}: {answer}"


def server_name(domain: str) -> str:
    """The name that a device asks for: without a domain the bare one."""
    return f"{NAME}.{domain}" if domain else NAME


def look_up(dns: str, domain: str, address: str, timeouts: tuple[float, ...] = _TIMEOUTS) -> Found:
    """Ask for the server's IPv4 address, again where nothing comes. The device asks from `address`."""
    name = server_name(domain)
    number = secrets.randbits(16)
    question = _question(number, name)
    with socket.socket(socket.AF_INET6 if ":" in dns else socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            asker.bind((address, 0))
            asker.connect((dns, PORT))
        except OSError:
            return Found(name, None)
        for timeout in timeouts:
            asker.settimeout(timeout)
            try:
                asker.send(question)
                while True:
                    answer = read(asker.recv(_MAX_BYTES), number)
                    if answer is not None:
                        return Found(name, *answer)
            except OSError:  # silence, or ICMP
                continue
    return Found(name, None)


def _question(number: int, name: str) -> bytes:
    labels = b"".join(
        bytes([len(label)]) + label
        for label in (label.encode("ascii") for label in name.strip(".").split("."))
    )
    head = struct.pack(">6H", number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return head + labels + b"\0" + struct.pack(">2H", _A, _IN)


def read(data: bytes, number: int) -> tuple[int, tuple[str, ...]] | None:
    """The response code and the IPv4 addresses of an answer; None where it is not the one that is awaited."""
    if len(data) < 12 or data[:2] != struct.pack(">H", number) or not data[2] & 0x80:
        return None
    questions, answers = struct.unpack_from(">2H", data, 4)
    found: list[str] = []
    try:
        at = 12
        for _ in range(min(questions, _MAX_ANSWERS)):
            at = _after_name(data, at) + 4
        for _ in range(min(answers, _MAX_ANSWERS)):
            at = _after_name(data, at)
            kind, _class, _ttl, length = struct.unpack_from(">HHIH", data, at)
            at += 10
            if kind == _A and length == 4 and at + 4 <= len(data):
                found.append(socket.inet_ntoa(data[at : at + 4]))
            at += length
    except (IndexError, struct.error):
        pass  # what came before the damage counts
    return data[3] & 0xF, tuple(found)


def _after_name(data: bytes, at: int) -> int:
    while length := data[at]:
        if length >= _POINTER:
            return at + 2
        at += 1 + length
    return at + 1
