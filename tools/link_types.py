#!/usr/bin/env python3
"""Write the list of link types in README.md from the table, as it is in the code.

python tools/link_types.py           write it
python tools/link_types.py --check   exit with 1 if it is not up to date
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path

from amtdiag.capture.decode.linktypes import LINK_TYPES

README = Path(__file__).parents[1] / "README.md"
LINE = re.compile(r"^\* Link types: .*?(?=^\*)", re.MULTILINE | re.DOTALL)
WIDTH = 104


def main() -> int:
    """Write the list, or compare it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit with 1 if it is not up to date"
    )
    arguments = parser.parse_args()
    names = ", ".join(sorted({link.name for link in LINK_TYPES.values()}))
    line = textwrap.fill(
        f"* Link types: {names}. Packets of others are counted and named in a note.",
        WIDTH,
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    before = README.read_text(encoding="utf-8")
    after = LINE.sub(line + "\n", before, count=1)
    if not LINE.search(before):
        sys.exit("README.md has no list of link types")
    if arguments.check:
        if after != before:
            sys.exit("README.md is not up to date: python tools/link_types.py")
    else:
        README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
