"""Putting the dissector and a profile with colours where Wireshark finds them, and taking them away again."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from amtdiag.errors import MissingToolError, UsageError
from amtdiag.safetext import safe
from amtdiag.wireshark.colours import colour_rules, is_ours
from amtdiag.wireshark.dissector import MARK, NAME, lua_source
from amtdiag.wireshark.folders import Folders

PROFILE = "amtdiag"
_COLOURS = "colorfilters"
_MAX_BYTES = 4 << 20

State = Literal["missing", "current", "outdated", "not ours"]


class Place(NamedTuple):
    """A file of ours in a folder of Wireshark's, and what is there now."""

    path: Path
    state: State
    """What is there: nothing, the file as this version writes it, one of another version, another's."""
    done: str = ""
    """What became of it, in a word or two."""

    @property
    def shown(self) -> str:
        """Its path, safe to show."""
        return safe(os.fspath(self.path), 4096)


def dissector_in(folder: Path) -> Place:
    """Look at the dissector of a plugin folder."""
    path = folder / NAME
    return Place(path, _state(path, lua_source(), lambda text: text.startswith(MARK.encode())))


def colours_in(folders: Folders) -> Place:
    """Look at the colours of our profile."""
    path = folders.settings / "profiles" / PROFILE / _COLOURS
    return Place(path, _state(path, colour_rules(folders.standard), is_ours))


def install_dissector(folder: Path, *, force: bool) -> Place:
    """Write the dissector where it is not there or outdated.

    Raises `UsageError` where another file has its name and `force` is not set, `MissingToolError` where it
    cannot be written.
    """
    place = dissector_in(folder)
    if place.state == "not ours" and not force:
        raise UsageError(f"{place.shown} is not amtdiag's: it stays as it is (--force replaces it)")
    return _write(place, lua_source())


def install_colours(folders: Folders) -> Place:
    """Write the colours of our profile. A file that the user has changed stays as it is."""
    place = colours_in(folders)
    if place.state == "not ours":
        return place._replace(done="left as it is: it has been changed")
    return _write(place, colour_rules(folders.standard))


def remove(place: Place) -> Place:
    """Take a file of ours away; one that is not ours stays. Raises `MissingToolError` where that fails."""
    if place.state == "missing":
        return place._replace(done="was not there")
    if place.state == "not ours":
        return place._replace(done="left as it is: not amtdiag's, or changed")
    try:
        place.path.unlink()
    except OSError as error:
        raise MissingToolError(f"{place.shown} cannot be removed: {error.strerror or error}") from error
    if place.path.parent.name == PROFILE:
        with suppress(OSError):  # the user keeps something else there
            place.path.parent.rmdir()
    return place._replace(state="missing", done="removed")


def _state(path: Path, wanted: str, ours: Callable[[bytes], bool]) -> State:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        shown = safe(os.fspath(path), 4096)
        raise MissingToolError(f"{shown} cannot be read: {error.strerror or error}") from error
    if content == wanted.encode():
        return "current"
    return "outdated" if ours(content) else "not ours"


def _write(place: Place, content: str) -> Place:
    """Write in one step: Wireshark never sees half a file."""
    if place.state == "current":
        return place._replace(done="is there already")
    half = place.path.with_name(f"{place.path.name}.new")
    try:
        place.path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content.encode())
        half.replace(place.path)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise MissingToolError(f"{place.shown} cannot be written: {error.strerror or error}") from error
    done = "written" if place.state == "missing" else "replaced"
    return place._replace(state="current", done=done)
