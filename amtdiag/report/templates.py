"""The environment of jinja2 in which all HTML is made: text of any origin stays text."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from amtdiag.report.verdict import label_of
from amtdiag.report.wording import count_devices, stage_name
from amtdiag.safetext import plain
from amtdiag.times import clock, rfc3339, span

if TYPE_CHECKING:
    from jinja2 import Template


@lru_cache
def template(package: str, name: str) -> Template:
    """Return a template that lies in a package of amtdiag."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=shown
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    made.filters |= {
        "clock": clock,
        "rfc3339": rfc3339,
        "span": span,
        "plain": plain,
        "count": lambda number: f"{number:,}",
        "devices": count_devices,
        "ours": Markup,  # style and script are files of this package
        "stage": stage_name,
        "label": label_of,
        "begun": lambda text: f"{text[:1].upper()}{text[1:]}",
    }
    return made.from_string((files(package) / name).read_text(encoding="utf-8"))
