"""How registries find their modules: who adds one adds a file, and no line elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield the modules and packages that lie in a package's folder, in alphabetical order.

    pkgutil does the same and imports inspect for it, a tenth of what a start takes.
    """
    for folder in package.__path__:
        with os.scandir(folder) as entries:
            stems = {entry.name.removesuffix(".py") for entry in entries}
        for stem in sorted(stem for stem in stems if stem.isidentifier() and not stem.startswith("_")):
            yield import_module(f"{package.__name__}.{stem}")
