"""Where Wireshark looks for a user's plugins and settings: what tshark says, else what the manual says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from amtdiag.capture.decryptor import find_tshark
from amtdiag.errors import MissingToolError

_TIMEOUT = 60
"""Seconds that tshark may take to name its folders."""
_PLUGINS = ("Personal Lua Plugins", "Personal Plugins")
"""The first of these that tshark names; those before 4.0 have but the second."""
_SETTINGS, _STANDARD = "Personal configuration", "Global configuration"


class Folders(NamedTuple):
    """The folders of one user."""

    plugins: Path
    """For Lua plugins."""
    settings: Path
    """For preferences and configuration profiles."""
    standard: Path | None
    """Where the settings are that Wireshark comes with; None where that is not known."""
    source: str
    """Who says so."""


def find_folders() -> Folders:
    """Return this user's folders. Raises `MissingToolError` where the user has no home."""
    named = _named_by_tshark()
    plugins = next((named[name] for name in _PLUGINS if name in named), None)
    settings = named.get(_SETTINGS)
    if plugins and settings:
        standard = named.get(_STANDARD)
        return Folders(
            Path(plugins), Path(settings), Path(standard) if standard else None, "tshark -G folders"
        )
    return documented_folders(sys.platform, os.environ)


def documented_folders(platform: str, environ: Mapping[str, str]) -> Folders:
    """Return the folders of the Wireshark User's Guide, appendix "Files and Folders"."""
    if platform == "win32":
        home = environ.get("APPDATA")
        if home:
            settings = Path(home) / "Wireshark"
            return Folders(settings / "plugins", settings, None, "Wireshark's manual")
        raise MissingToolError(
            "Wireshark's folder is below %APPDATA%, which is not set: name one with --folder"
        )
    home = environ.get("HOME")
    if not home:
        raise MissingToolError("Wireshark's folder is below $HOME, which is not set: name one with --folder")
    base = Path(environ.get("XDG_CONFIG_HOME") or Path(home) / ".config")
    plugins = Path(home) / ".local" / "lib" / "wireshark" / "plugins"
    return Folders(plugins, base / "wireshark", None, "Wireshark's manual")


def _named_by_tshark() -> dict[str, str]:
    program = find_tshark()
    if program is None:
        return {}
    try:
        done = subprocess.run(
            [program, "-G", "folders"],
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = os.fsdecode(done.stdout).splitlines() if done.returncode == 0 else []
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): path.strip() for name, _, path in pairs if path.strip()}
