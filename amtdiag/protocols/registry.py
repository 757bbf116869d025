"""All protocols of this package, found by looking: whoever adds one adds its file and no line here."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType

from amtdiag import protocols
from amtdiag.discovery import modules_of
from amtdiag.protocols.protocol import Field, Protocol


def _found() -> Iterator[Protocol]:
    for module in modules_of(protocols):
        found = getattr(module, "PROTOCOL", None)
        if isinstance(found, Protocol):
            yield found


PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in _found()}
"""By name, in alphabetical order."""


def field_tables() -> dict[type, tuple[Field, ...]]:
    """Return the fields of every record that a parser returns. Imports all parsers."""
    found: dict[type, tuple[Field, ...]] = {}
    for module in _modules():
        found.update(getattr(module, "FIELDS", {}))
    return found


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.walk_packages(protocols.__path__, f"{protocols.__name__}."):
        yield import_module(module.name)
