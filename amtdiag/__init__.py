"""Reads captures of Intel AMT provisioning, finds the Hello messages and says what failed.

    import amtdiag

    analysis = amtdiag.read("trace.pcapng")  # files, folders; several are one capture in time order
    print(analysis.verdict)
    analysis.devices  # pandas tables: also .hellos .digests .findings .events .captures
    analysis.timeline()  # matplotlib charts: also .failures(); both take a device
    analysis.save("reports/today")
    analysis = amtdiag.sniff("eth0", duration=60)  # the same of an interface

Importing this package costs next to nothing: what a name stands for is imported when it is first used.
"""

from __future__ import annotations

from amtdiag._version import __version__

TYPE_CHECKING = False  # not from typing: importing that takes longer than the rest of this file
if TYPE_CHECKING:
    from amtdiag.api.analysis import Analysis, read
    from amtdiag.api.sniff import sniff
    from amtdiag.config import Options
    from amtdiag.model import Finding, Hello
    from amtdiag.protocols.hello import build as build_hello
    from amtdiag.protocols.hello import parse as parse_hello
    from amtdiag.report.device import Device

__all__ = [
    "Analysis",
    "Device",
    "Finding",
    "Hello",
    "Options",
    "__version__",
    "build_hello",
    "parse_hello",
    "read",
    "sniff",
]

_HOMES = {
    "Analysis": ("amtdiag.api.analysis", "Analysis"),
    "Device": ("amtdiag.report.device", "Device"),
    "Finding": ("amtdiag.model", "Finding"),
    "Hello": ("amtdiag.model", "Hello"),
    "Options": ("amtdiag.config", "Options"),
    "build_hello": ("amtdiag.protocols.hello", "build"),
    "parse_hello": ("amtdiag.protocols.hello", "parse"),
    "read": ("amtdiag.api.analysis", "read"),
    "sniff": ("amtdiag.api.sniff", "sniff"),
}
"""Public name: the module it lives in, and its name there."""


def __getattr__(name: str) -> object:
    """Import what a public name stands for; from then on it is an ordinary attribute (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, original = _HOMES[name]
    value: object = getattr(import_module(module), original)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
