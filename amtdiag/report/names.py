"""Short names for devices, unique within a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from amtdiag.model import DeviceRecord


def device_names(devices: Sequence[DeviceRecord]) -> dict[str, str]:
    """Return a short name for every device id: both ends of its UUID, else its address, else its MAC.

    Where two short names are alike the whole identity stands instead.
    """
    short = {one.id: _short(one) for one in devices}
    seen = Counter(short.values())
    return {identity: name if seen[name] == 1 else identity for identity, name in short.items()}


def _short(device: DeviceRecord) -> str:
    if device.uuid and device.id.startswith("uuid:"):
        return f"{device.uuid[:8]}..{device.uuid[-4:]}"
    return device.ips[-1] if device.ips else device.id.removeprefix("mac:")
