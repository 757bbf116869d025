"""The bytes of a Hello, written anew here: a mistake made twice alike would not show."""

from __future__ import annotations

from amtdiag.simulator.hosts import AmtHost
from amtdiag.simulator.roots import ALGORITHMS

_UNDOCUMENTED = b"\x02\x00\x10\x00" + bytes(range(0xC0, 0xE0))
"""What follows the header in a Hello of an undocumented version."""


def digests_of(device: AmtHost) -> tuple[bytes, ...]:
    """The digest list of a device; empty where its Hello has none."""
    return tuple(root.digest(device.digest) for root in device.roots) if device.hello_type == "pki" else ()


def hello_bytes(device: AmtHost, retry_count: int) -> bytes:
    """The Hello of a device: header, then PID, digest list, or bytes of no documented meaning."""
    from uuid import UUID

    head = b"".join(
        number.to_bytes(size, "little")
        for number, size in ((device.admin_credentials, 2), (device.hello_version, 2), (retry_count, 4))
    )
    head += UUID(device.uuid).bytes_le
    if device.hello_type == "unknown":
        return head + _UNDOCUMENTED
    if device.pid is not None:
        return head + device.pid.encode("ascii")
    digests = digests_of(device)
    records = b"".join(bytes([ALGORITHMS[device.digest], len(digest)]) + digest for digest in digests)
    return head + bytes([len(digests)]) + records
