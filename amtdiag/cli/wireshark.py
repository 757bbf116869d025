"""`amtdiag wireshark`: the dissector for Wireshark, put where it is found and taken away."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from amtdiag.wireshark.install import Place

_FILTERS = (
    ("intelamt", "all Hellos"),
    ("intelamt.problem", "Hellos with something wrong"),
    ('intelamt.digest.verdict == "unknown"', "a root that no catalogue names"),
    ("intelamt.good_pid == 0", "a PID with a wrong check character"),
    ("intelamt.uuid == 939b524b-13d4-1d18-e487-1c697a6b7a2b", "one device"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    install = verbs.add_parser(
        "install", help="put intelamt.lua into the plugin folder, and add a colour profile"
    )
    _add_folder(install)
    install.add_argument(
        "--force", action="store_true", help="replace a file of that name that is not amtdiag's"
    )
    install.set_defaults(run=run_install)
    uninstall = verbs.add_parser("uninstall", help="take away what install wrote")
    _add_folder(uninstall)
    uninstall.set_defaults(run=run_uninstall)
    show = verbs.add_parser("show", help="say where it belongs, whether it is there, and what to filter for")
    _add_folder(show)
    show.add_argument("--lua", action="store_true", help="print the dissector itself")
    show.set_defaults(run=run_show)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="the plugin folder (default: the one that tshark names); the colour profile is then left alone",
    )


def run_install(arguments: argparse.Namespace) -> int:
    """Install, and say how to go on."""
    from amtdiag.wireshark.folders import find_folders
    from amtdiag.wireshark.install import PROFILE, install_colours, install_dissector

    if arguments.folder is not None:
        _say(install_dissector(arguments.folder, force=arguments.force))
    else:
        folders = find_folders()
        _say(install_dissector(folders.plugins, force=arguments.force))
        colours = install_colours(folders)
        _say(colours)
        print(f"\nColours come with the profile {PROFILE}: wireshark -C {PROFILE},")
        print("or Edit > Configuration Profiles. For one of your own: View > Coloring Rules > Import.")
    print("Wireshark reads the plugin when it starts, or by Analyze > Reload Lua Plugins.")
    _say_filters()
    return 0


def run_uninstall(arguments: argparse.Namespace) -> int:
    """Remove what is ours."""
    for place in _places(arguments.folder):
        from amtdiag.wireshark.install import remove

        _say(remove(place))
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Say where things are, or print the dissector."""
    if arguments.lua:
        from amtdiag.wireshark.dissector import lua_source

        sys.stdout.write(lua_source())
        return 0
    for place in _places(arguments.folder):
        print(f"{place.shown}: {place.state}")
    _say_filters()
    return 0


def _places(folder: Path | None) -> list[Place]:
    from amtdiag.wireshark.folders import find_folders
    from amtdiag.wireshark.install import colours_in, dissector_in

    if folder is not None:
        return [dissector_in(folder)]
    folders = find_folders()
    return [dissector_in(folders.plugins), colours_in(folders)]


def _say(place: Place) -> None:
    print(f"{place.shown}: {place.done}")


def _say_filters() -> None:
    print("\nDisplay filters:")
    width = max(len(words) for words, _ in _FILTERS)
    for words, meaning in _FILTERS:
        print(f"  {words:{width}}  {meaning}")
