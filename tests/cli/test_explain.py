"""`amtdiag explain`, and the page that is made of the same text."""

from __future__ import annotations

import subprocess
import sys
from html import escape

import pytest
from helpers import ROOT, run

from amtdiag.devices.modes import TRANSITIONS
from amtdiag.rules.catalogue import RULES, Explanation, explanations

every_rule = pytest.mark.parametrize("rule", explanations(), ids=lambda rule: rule.id)


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_every_rule_is_explained_once() -> None:
    assert [one.id for one in explanations()] == [rule.id for rule in RULES]


@every_rule
def test_nothing_is_left_unsaid(rule: Explanation) -> None:
    for _, text in rule.paragraphs():
        assert len(text) > 8
    assert rule.meaning.endswith(".")
    assert rule.looks_for.endswith(".")


@every_rule
def test_a_rule(rule: Explanation) -> None:
    ran = run("explain", rule.id)
    assert (ran.code, ran.err) == (0, "")
    text = squeezed(ran.text)
    for part in (rule.title, rule.meaning, rule.looks_for, rule.remedy, rule.source, rule.severity):
        assert squeezed(part) in text
    assert rule.catalogue is None or rule.catalogue in text


def test_the_list() -> None:
    ran = run("explain")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.text.splitlines()
    assert [line.split()[0] for line in lines] == [one.id for one in explanations()]
    assert all(one.title in line for one, line in zip(explanations(), lines, strict=True))


def test_letters_and_spaces_do_not_matter() -> None:
    assert run("explain", " No-Connect-Back ").out == run("explain", "no-connect-back").out


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("no-conect-back", "did you mean no-connect-back"),
        ("xyzzy", "`amtdiag explain` lists all rules"),
        ("\x1b[2J", "lists all rules"),
    ],
)
def test_an_unknown_rule(wanted: str, hint: str) -> None:
    ran = run("explain", wanted)
    assert (ran.code, ran.out) == (2, b"")
    assert hint in ran.err
    assert "\x1b" not in ran.err
    assert ran.err.count("\n") == 1


def test_the_page_of_rules_is_up_to_date() -> None:
    tool = ROOT / "tools" / "rules_page.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_has_every_mode_as_a_table_and_as_a_picture() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    picture = (ROOT / "docs" / "pictures" / "modes.svg").read_text(encoding="utf-8").splitlines()
    for row in TRANSITIONS:
        assert f"| {row.reason} | {row.to.capitalize()} | {row.basis} | {row.weight} |" in page
        (sign,) = [place for place, line in enumerate(picture) if f">{escape(row.reason)}<" in line]
        assert ("stroke-dasharray" in picture[sign + 1]) == (row.basis == "inferred")
        box = next(line for line in picture[sign:] if 'class="mode"' in line)
        assert f">{row.to.capitalize()}<" in box
