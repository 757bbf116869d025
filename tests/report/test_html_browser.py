"""The page in a browser: Debian's Chromium opens it from a file, as its readers do."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import SAMPLES
from scenarios import tls
from scenarios.containers import render
from scenarios.conversation import Conversation
from scenarios.packets import SECOND, Trace
from scenarios.scene import Scene
from scenarios.web import SentMessage, Session
from test_hostile import poisoned
from test_html import diagnosed, many_times

from amtdiag.model import Diagnosis
from amtdiag.report.formats.html import render_page
from amtdiag.simulator.certificates import server_identity
from amtdiag.simulator.hosts import network

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
STUCK = "44e13ff2-50e2-11b6-85e5-02a4d7001735"
"""Of the fleet: its server's connections back are refused."""


@pytest.fixture(scope="module")
def chromium(need: Callable[[str], Path]) -> Iterator[Browser]:
    path = need("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(diagnosed(SAMPLES / "fleet.pcapng.gz"), tmp_path_factory.mktemp("fleet"))


def written(found: Diagnosis, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text("".join(render_page(found)), encoding="utf-8")
    return path


@contextmanager
def opened(browser: Browser, path: Path, part: str = "", **how: Any) -> Iterator[Page]:
    """A page that is ready; whatever it complains of, and whatever it asks the network for, is an error."""
    how = {"viewport": {"width": 1280, "height": 900}, **how}
    context = browser.new_context(**how)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url) else None)
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(f"{path.as_uri()}{part}")
    if how.get("java_script_enabled", True):
        page.wait_for_selector("html[data-ready]")
    yield page
    context.close()
    assert complaints == []


def is_foreign(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


def too_wide(page: Page) -> int:
    """By how many pixels the page has to be moved sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_search_finds_and_filters_hold(chromium: Browser, fleet: Path) -> None:
    with opened(chromium, fleet) as page:
        rows, tally = page.locator(".matrix tbody tr"), page.locator(".tally [role=status]")
        assert rows.count() == 25
        for words, number in (
            ("44E13FF2", 1), ("10.20.23.53", 1), ("02:a4:d7:00:17:35", 1), ("pc-23-053", 1),
            ("root not listed", 2), ("way back closed refused", 5), ("nobody has this", 0),
        ):  # fmt: skip
            page.get_by_label("Search").fill(words)
            page.wait_for_function("words => list.filters.text === words", arg=words)
            wanted = f"{number} of 25 devices"
            assert tally.inner_text() == wanted, words
            assert page.locator(".matrix tbody th").count() == number
        page.get_by_role("button", name="Show all").click()
        page.get_by_label("Came to").select_option("TLS")
        assert tally.inner_text() == "14 of 25 devices"
        page.get_by_label("How it fares").select_option("Stuck")
        assert tally.inner_text() == "3 of 25 devices"
        assert "state=stuck" in page.url
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert tally.inner_text() == "3 of 25 devices"
        page.get_by_role("button", name="Show all").click()
        page.get_by_role("button", name="Show these 4 devices").click()
        assert tally.inner_text() == "4 of 25 devices"
        page.get_by_role("button", name="Address").click()
        assert page.locator("th[aria-sort=ascending]").inner_text() == "Address"


def test_a_link_leads_to_a_device_and_back(chromium: Browser, fleet: Path) -> None:
    with opened(chromium, fleet) as page:
        page.get_by_role("link", name="44e13ff2..1735").click()
        assert page.locator("#device h1").inner_text() == STUCK
        assert page.url.endswith(f"#device={STUCK}")
        assert page.evaluate("document.activeElement.id") == "device-name"
        assert not page.locator("#overview").is_visible()
        page.go_back()
        page.wait_for_selector("#overview")
        assert not page.locator("#device").is_visible()
    for name in (STUCK, "10.20.23.53", "02:a4:d7:00:17:35"):
        with opened(chromium, fleet, f"#device={name}") as page:
            assert page.locator("#device h1").inner_text() == STUCK
    with opened(chromium, fleet, "#device=%E0%A4%A<nobody>") as page:
        assert page.locator("#overview").is_visible()


def test_hover_and_keyboard_show_the_frames(chromium: Browser, fleet: Path) -> None:
    with opened(chromium, fleet, f"#device={STUCK}") as page:
        tip = page.locator("#tip")
        names = page.locator(".lane-name").all_text_contents()
        assert {"Mode", "DHCP", "DNS", "Hello", "Connect-back", "TLS", "HTTP"} <= set(names)
        mark = page.locator(".mark[aria-label*='Connect-back: refused']").first
        mark.hover()
        assert "Frames 170, 171" in tip.inner_text()
        page.mouse.move(5, 5)
        assert not tip.is_visible()
        page.locator(".mark[tabindex='0']").focus()
        first = tip.inner_text()
        page.keyboard.press("ArrowRight")
        assert tip.inner_text() != first
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        assert "Frame" in page.locator(".chosen").inner_text()
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.get_by_text("events as a table").click()
        page.wait_for_selector("details table")
        assert page.locator("details table tbody tr").count() == page.locator(".timeline .mark").count()


def test_filters_and_commands_are_copied(chromium: Browser, fleet: Path) -> None:
    grants: dict[str, Any] = {"permissions": ["clipboard-read", "clipboard-write"]}
    with opened(chromium, fleet, **grants) as page:
        page.get_by_role("button", name="Copy filter").first.click()
        page.wait_for_function("() => document.getElementById('said').textContent === 'Copied'")
        read = "navigator.clipboard.readText()"
        assert page.evaluate(read) == "tcp.port==16993 && ip.addr==10.20.23.53"
        page.get_by_role("button", name="Copy for tshark").first.click()
        page.wait_for_function("() => navigator.clipboard.readText().then(text => text.startsWith('tshark'))")
        wanted = "fleet.pcapng.gz -Y 'tcp.port==16993 && ip.addr==10.20.23.53'"
        assert str(page.evaluate(read)).endswith(wanted)


def test_the_table_is_downloaded_with_defused_cells(chromium: Browser, tmp_path: Path) -> None:
    found = poisoned(diagnosed(SAMPLES / "fleet.pcapng.gz"), ["=1+1", '@SUM(A1),"x"', "<b>"])
    with opened(chromium, written(found, tmp_path), accept_downloads=True) as page:
        with page.expect_download() as download:
            page.get_by_role("button", name="Download as CSV").click()
        text = Path(download.value.path()).read_text(encoding="utf-8")
    heading, *rows = csv.reader(io.StringIO(text))
    assert heading[0] == "device"
    assert len(rows) == 25
    assert any(cell.startswith(("'=", "'@")) for row in rows for cell in row)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


def test_times_change_to_the_readers_zone(chromium: Browser, fleet: Path) -> None:
    with opened(chromium, fleet, timezone_id="Asia/Tokyo") as page:
        when = page.locator(".kicker time")
        assert when.inner_text() == "2026-03-02 15:20:30 UTC"
        page.get_by_role("button", name="Times in UTC").click()
        assert when.inner_text() == "2026-03-03 00:20:30 Asia/Tokyo"


def test_dark_light_and_phone(chromium: Browser, fleet: Path) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        with opened(chromium, fleet, color_scheme=scheme) as page:
            shades[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shades == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 28)"}
    for part in ("", f"#device={STUCK}"):
        with opened(chromium, fleet, part, viewport={"width": 360, "height": 740}) as page:
            assert too_wide(page) == 0


def test_without_a_script_it_can_be_read(chromium: Browser, fleet: Path) -> None:
    with opened(chromium, fleet, java_script_enabled=False) as page:
        assert page.locator("h1").inner_text().startswith("14 of 25 devices are stuck")
        assert page.locator(".funnel tbody tr").count() == 9
        assert page.locator(".troubled tbody tr").count() == 14
        assert not page.get_by_role("button", name="Copy filter").first.is_visible()


def test_paper_shows_verdict_funnel_causes_and_troubled_devices(chromium: Browser, fleet: Path) -> None:
    with opened(chromium, fleet) as page:
        assert page.pdf(format="A4").startswith(b"%PDF-")
        page.emulate_media(media="print")
        for shown in ("h1", ".funnel", ".cause", ".troubled"):
            assert page.locator(shown).first.is_visible(), shown
        for hidden in ("#list", ".top", ".copy"):
            assert not page.locator(hidden).first.is_visible(), hidden


def test_ten_thousand_devices_are_usable(chromium: Browser, tmp_path: Path) -> None:
    """A tenth of them here; a page holds fifty at a time, so that the number costs little."""
    path = written(many_times(diagnosed(SAMPLES / "fleet.pcapng.gz"), 40), tmp_path)
    with opened(chromium, path) as page:
        assert page.locator(".matrix tbody tr").count() == 50
        page.get_by_role("button", name="Next", exact=True).click()
        assert page.locator(".pager span").inner_text() == "Page 2 of 20"
        page.get_by_label("Search").fill("10.10.40.53")
        page.wait_for_function("() => list.found.length === 1")
        page.locator(".matrix tbody a").click()
        page.wait_for_selector(".timeline .mark")
        assert page.locator(".timeline .mark").count() > 20


# ----------------------------------------------------------------------------------------------- hostile text

MARKUP = '<img src=x onerror="document.title=1">'
ESCAPES = "</script><svg onload=alert(1)>"
COUNT_FOREIGN = """() => [
    ...document.querySelectorAll("img, iframe, object, embed, base, form, [onerror], [onload], [srcdoc]"),
    ...[...document.querySelectorAll("script")].slice(2),
    ...[...document.querySelectorAll("a")].filter(one => !one.getAttribute("href").startsWith("#")),
].length"""

POINT_AT_ALL = """() => [...document.querySelectorAll(".mark")].map(mark => {
    mark.focus();
    mark.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    return mark.ariaLabel + byId("tip").textContent + document.querySelector(".chosen").textContent;
})"""


def hostile_capture(folder: Path) -> Path:
    """A provisioning in which every name that somebody may choose is markup."""
    net = replace(network(77), suffix="<img src=x onerror=alert(1)>.example")
    scene = Scene(Trace("hostile"), net, 1_772_442_072 * SECOND)
    device = replace(net.device(), name=MARKUP)
    at = scene.hello(device, scene.boot(device, scene.start))
    shown = server_identity(ESCAPES[:40])
    at = scene.back_tls(device, at, tls.session(net.suffix, device.ip, shown, root_accepted=False))
    spoken = replace(net.device(51, pid="<script>"), name=ESCAPES)
    at = scene.hello(spoken, scene.boot(spoken, at + SECOND))
    session = Session(spoken.ip, version=f"1.2.3{MARKUP}")
    session.challenge()
    session.fails(f"Commit{MARKUP.replace(' ', '_')}", "AccessDenied", "&lt;img src=x onerror=alert(2)&gt;")
    digest = f'Digest username="{ESCAPES}", realm="x", nonce="1", uri="/", response="{"0" * 32}"'
    asked = f"GET /{ESCAPES.replace(' ', '/')} HTTP/1.1\r\nHost: x\r\nAuthorization: {digest}\r\n\r\n"
    session.said += [
        SentMessage(True, asked.encode()),
        SentMessage(False, f'HTTP/1.1 401 {MARKUP}\r\n'
                    f'WWW-Authenticate: Digest realm="{ESCAPES}", nonce="2"\r\n'
                    f"Content-Type: {MARKUP}\r\nServer: {MARKUP}\r\nContent-Length: 0\r\n\r\n".encode()),
    ]  # fmt: skip
    talk = Conversation(scene.trace, net.server, spoken, 16992, at + SECOND, ())
    talk.open()
    for said in session.said:
        talk.wait(1_000_000, 2_000_000)
        talk.send(talk.client if said.from_client else talk.server, said.data)
    talk.close(talk.client)
    path = folder / f"{ESCAPES.replace('/', '')}{MARKUP}.pcapng"
    path.write_bytes(render(scene.trace.ordered(), "pcapng", comment=MARKUP, dropped=None))
    return path


def look_everywhere(page: Page, found: Diagnosis) -> str:
    """Open every view, and return all words that stand anywhere in it; nothing in it is markup."""
    words = []
    for device in ("", *(one.id for one in found.devices)):
        page.evaluate(
            "id => { location.hash = id ? `#device=${encodeURIComponent(id)}` : '#causes' }", device
        )
        shown = "#device h1" if device else "#overview h1"
        page.wait_for_selector(shown)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        words += page.evaluate(POINT_AT_ALL)
        words.append(page.locator("body").inner_text())
        assert page.evaluate(COUNT_FOREIGN) == 0
    return "\n".join(words)


def test_markup_from_the_wire_is_shown_and_never_read(chromium: Browser, tmp_path: Path) -> None:
    path = hostile_capture(tmp_path)
    found = diagnosed(path)
    with opened(chromium, written(found, tmp_path)) as page:
        page.get_by_label("Search").fill(MARKUP.split(maxsplit=1)[0])
        page.wait_for_function("() => list.filters.text !== ''")
        assert page.locator(".matrix tbody a").count() > 0
        words = look_everywhere(page, found)
    for text in (
        path.name, MARKUP, ESCAPES, "<script>", "provisionserver.<img src=x onerror=alert(1)>.example",
        f"user {ESCAPES}", f"GET /{ESCAPES.replace(' ', '/')}", "<img src=x onerror=alert(2)>",
    ):  # fmt: skip
        assert text in words, text


def test_markup_in_every_other_field_is_shown_and_never_read(chromium: Browser, tmp_path: Path) -> None:
    """Fields that no capture of ours fills with what it likes: there they are filled by hand."""
    found = poisoned(diagnosed(SAMPLES / "no-connect-back.pcapng"), [MARKUP, ESCAPES])
    with opened(chromium, written(found, tmp_path)) as page:
        words = look_everywhere(page, found)
    assert MARKUP in words
    assert ESCAPES in words
