"""``python -m scenarios OUT_DIR [NAME ...]``: write the captures of these scenarios, or of all."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from amtdiag.errors import AmtdiagError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write scenarios and name what was written; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scenarios",
        description="Write captures of provisioning stories, each with its expected.json.",
    )
    parser.add_argument("folder", type=Path, metavar="OUT_DIR", help="where they go; made if missing")
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; all if none is named")
    chosen = parser.parse_args(arguments)
    # Late, so that --help and a wrong call answer at once.
    from scenarios.write import write

    try:
        written = write(chosen.folder, chosen.names)
    except AmtdiagError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return error.exit_code
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
