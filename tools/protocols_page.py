#!/usr/bin/env python3
"""Write docs/protocols.md from what the protocols register: their ports, and the fields that are read.

python tools/protocols_page.py           write the page
python tools/protocols_page.py --check   exit with 1 if it is not up to date
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from amtdiag.protocols.ports import PORTS
from amtdiag.protocols.registry import PROTOCOLS, field_tables

PAGE = Path(__file__).parents[1] / "docs" / "protocols.md"
HEAD = """\
# Protocols: ports and fields

Written by `tools/protocols_page.py` from what each protocol says of itself in `amtdiag/protocols`. What is
`address`, `mac`, `name`, `user`, `uuid`, `secret`, `certificate` or `text` may identify a site, a person or a
machine; `number`, `word`, `flag` and `bytes` do not.

| port | transport | protocol | what it is for | name |
|---|---|---|---|---|
"""


def page() -> str:
    """The page as it has to be."""
    ports = sorted(PORTS, key=lambda port: (port.number, port.transport))
    rows = [
        (port.number, port.transport.upper(), PROTOCOLS[port.protocol].title, port.use, port.title)
        for port in ports
    ]
    parts = [HEAD + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)]
    tables = field_tables()
    for record in sorted(tables, key=lambda record: (record.__module__, record.__name__)):
        fields = "".join(f"| `{field.name}` | {field.kind} | {field.source} |\n" for field in tables[record])
        doc = (record.__doc__ or "").partition("\n")[0]
        parts.append(
            f"## {record.__name__}\n\n{doc}\n\n| field | kind | where it stands |\n|---|---|---|\n{fields}"
        )
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE.name} is not up to date: run tools/protocols_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
