"""Short names for devices, unique within a report; and the device that a name means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from amtdiag.errors import UsageError
from amtdiag.model import DeviceRecord
from amtdiag.safetext import plain


def device_names(devices: Sequence[DeviceRecord]) -> dict[str, str]:
    """Return a short name for every device id: both ends of its UUID, else its address, else its MAC.

    Where two short names are alike the whole identity stands instead.
    """
    short = {device.id: _short(device) for device in devices}
    seen = Counter(short.values())
    return {identity: name if seen[name] == 1 else identity for identity, name in short.items()}


def _short(device: DeviceRecord) -> str:
    if device.uuid and device.id.startswith("uuid:"):
        return f"{device.uuid[:8]}..{device.uuid[-4:]}"
    return device.ips[-1] if device.ips else device.id.removeprefix("mac:")


def find_device(devices: Sequence[DeviceRecord], wanted: str) -> DeviceRecord:
    """Return the one device that an id, UUID, MAC or address means, or a part of one.

    Raises `UsageError` where no device or several fit.
    """
    words = wanted.strip().lower()
    exact = [device for device in devices if words in _names_of(device)]
    found = exact or [
        device for device in devices if words and any(words in name for name in _names_of(device))
    ]
    if len(found) == 1:
        return found[0]
    what = "no device" if not found else f"{len(found)} devices"
    raise UsageError(f"{what} here that '{plain(wanted, 80)}' fits")


def _names_of(device: DeviceRecord) -> list[str]:
    names = (device.id, device.uuid, *device.macs, *device.ips, *device.aliases)
    return [name.lower() for name in names if name]
