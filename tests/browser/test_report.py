"""The HTML report as people use it: figures, filters, links, keys, texts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from shadowdiff.render.html.entries import TITLE_CELLS
from shadowdiff.render.structured import JsonRenderer
from shadowdiff.render.text import clip, one_line
from tests.browser.conftest import DESK, PHONE, Open
from tests.golden.test_render_goldens import check
from tests.render_cases import hard_run
from tests.report_cases import billing_run, long_run, surroundings, timed, written

SAID = {
    "sessions that differ": "sessions_changed",
    "distinct entries, A": "distinct_a",
    "only in A, per session": "mean_only_in_a_per_session",
    "only in other, per session": "mean_only_in_b_per_session",
    "overlap@5": "mean_overlap",
    "RBO (p = 0.9)": "mean_rbo",
    "same first entry": "same_top1",
}
"""Rows of the table of pairs by their names in JSON."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page of three sides and all that can stand beside a run, one to read, and a long one."""
    folder = tmp_path_factory.mktemp("reports")
    run, outcomes = hard_run(others=2, noise=True)
    written(folder / "hard.html", timed(run), outcomes, surroundings())
    written(folder / "billing.html", *billing_run())
    written(folder / "long.html", *long_run(240))
    return folder


@pytest.fixture(scope="module")
def as_json() -> dict[str, Any]:
    """The run of `hard.html` as JSON."""
    out = io.StringIO()
    JsonRenderer().render(*hard_run(others=2, noise=True), out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def status(page: Page) -> str:
    """What the live region says."""
    return page.locator("#status").inner_text()


def shown(page: Page) -> list[str]:
    """Ids of the listed sessions, in order."""
    return page.locator(".session h3").all_inner_texts()


def focused(page: Page) -> str:
    """Id of the element that has the focus."""
    found: str = page.evaluate("document.activeElement.id")
    return found


def test_figures_are_those_of_the_json(open_report: Open, reports: Path, as_json: dict[str, Any]) -> None:
    """Every mean and count of the head; turns by outcome, by filtering; and each turn's lists with their signs."""
    page = open_report(reports / "hard.html")
    page.locator("details.tables > summary").click()
    table = page.get_by_role("table", name="What the sides surfaced")
    pairs = as_json["summary"]["pairs"]
    for label, name in SAID.items():
        cells = table.locator("tr", has=page.get_by_role("rowheader", name=label, exact=True)).locator(".number")
        for cell, side in zip(cells.all_inner_texts(), pairs, strict=False):
            places = len(cell.partition(".")[2])
            assert cell == f"{pairs[side][name]:.{places}f}", (label, side)
    for side, pair in pairs.items():
        page.select_option("#view", side)
        for outcome, turns in pair["turns"].items():
            page.select_option("#outcome", outcome[0])
            assert f" {turns} turn" in status(page), (side, outcome)
        page.select_option("#outcome", "")
        _check_lists(page, side, as_json)


def _check_lists(page: Page, side: str, as_json: dict[str, Any]) -> None:
    for session in as_json["sessions"]:
        for turn in session["turns"]:
            page.evaluate("fragment => { location.hash = fragment }", f"#turn={quote(turn['turn_id'], safe='')}")
            box = page.locator(".turn:focus")
            expect(box.locator(".position")).to_have_text(f"turn {turn['position']}/{session['turn_count']}")
            for column, label in enumerate(("A", side)):
                found = box.locator(".column").nth(column)
                ranked = turn["rankings"].get(label, [])
                expected = [clip(one_line(each["title"]) or one_line(each["entry_id"]), TITLE_CELLS) for each in ranked]
                titles = found.locator(".row .title").all_text_contents()
                assert all(text.startswith(title) for text, title in zip(titles, expected, strict=True)), titles
                diff = turn["diffs"][side]
                only = len(diff[("only_in_a", "only_in_b")[column]]) if diff else 0
                assert found.locator(f".only-{'ab'[column]}").count() == only


def test_the_page_reads_as_the_golden_says(open_report: Open, reports: Path) -> None:
    """All that can be seen, with every disclosure open, as text."""
    page = open_report(reports / "hard.html")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    text = page.evaluate("document.body.innerText")
    check("report.txt", "\n".join(line.rstrip() for line in text.splitlines()) + "\n")


def test_filters_narrow_what_is_listed(open_report: Open, reports: Path) -> None:
    """By org, outcome and words of one turn (query, title, entry id); by sides and order; and back again."""
    page = open_report(reports / "hard.html")
    everything = shown(page)
    assert len(everything) == 3
    page.select_option("#org", "acme")
    assert shown(page) == ["7f3a", "s-quiet"]
    page.fill("#search", "ENCRYPTION eu")
    expect(page.locator("#status")).to_have_text("1 of 3 sessions, 1 turn")
    assert page.locator(".turn:not(.quiet) mark").count() > 0
    page.fill("#search", "kb-7 thanks")
    expect(page.locator("#status")).to_have_text("1 of 3 sessions, 1 turn")
    page.fill("#search", "thanks zebra")
    expect(page.locator("#more")).to_have_text("No session matches these filters.")
    page.click("#clear")
    assert shown(page) == everything
    page.select_option("#outcome", "f")
    assert shown(page) == [everything[0]]
    assert status(page) == "1 of 3 sessions, 2 turns"
    page.select_option("#view", "B")
    assert status(page) == "1 of 3 sessions, 1 turn"
    assert page.locator(".chart[data-pair=C]").first.is_hidden()
    page.select_option("#outcome", "")
    page.select_option("#sort", "time")
    assert shown(page) == ["7f3a", "s-quiet", everything[0]]


def test_a_filter_does_not_blink(open_report: Open, reports: Path) -> None:
    """What meets the eye first is drawn when the counts are said, though no observer has come to it."""
    page = open_report(reports / "hard.html", init="IntersectionObserver.prototype.observe = () => {}")
    assert page.locator(".turn").count() > 0
    page.fill("#search", "ENCRYPTION eu")
    expect(page.locator("#status")).to_have_text("1 of 3 sessions, 1 turn")
    assert page.locator(".turn:not(.quiet) mark").count() > 0


def test_links_open_what_filters_hide(open_report: Open, reports: Path) -> None:
    """From the address bar and from within the page; an id with everything in it; copied links lead back."""
    hostile = "hostile \x1b]0;pwned\x07\u202e"
    page = open_report(reports / "hard.html", f"#turn={quote(hostile + '-t2', safe='')}")
    expect(page.locator(".turn:focus .query")).to_have_text("“rate limit?”")
    page.select_option("#org", "acme")
    assert len(shown(page)) == 2
    page.evaluate("fragment => { location.hash = fragment }", f"#session={quote(hostile, safe='')}")
    expect(page.locator(".session:focus h3")).to_contain_text("hostile")
    page.evaluate("location.hash = '#turn=s-quiet-t1'")
    expect(page.locator(".turn:focus .column")).to_have_count(3)
    page.locator(".turn:focus").get_by_role("button", name="Copy a link to this turn").click()
    expect(page.locator("#status")).to_contain_text("link to this turn")
    assert page.url.endswith("#turn=s-quiet-t1")
    page.evaluate("location.hash = '#turn=nobody'")
    expect(page.locator("#status")).to_have_text("This report has no such turn.")
    late = open_report(reports / "long.html", "#session=s-0239")
    expect(late.locator(".session:focus h3")).to_have_text("s-0239")
    late.wait_for_timeout(700)
    assert late.locator(".session:focus").evaluate("each => each.getBoundingClientRect().bottom") <= DESK["height"]
    late.evaluate("location.hash = '#turn=s-0120-t2'")
    late.wait_for_timeout(700)
    assert 100 < late.locator(".turn:focus").evaluate("each => each.getBoundingClientRect().top") < 160


def test_keys_walk_through_the_differences(open_report: Open, reports: Path) -> None:
    """Far beyond what was drawn first; search, fold, theme and help have keys; typing is not a command."""
    page = open_report(reports / "long.html")
    assert page.locator(".row").count() < 1000
    page.keyboard.press("n")
    first = focused(page)
    page.keyboard.press("ArrowRight")
    assert focused(page) != first
    page.keyboard.press("p")
    assert focused(page) == first
    page.keyboard.press("p")
    assert status(page) == "That was the first difference."
    for _ in range(29):
        page.keyboard.press("n")
    assert status(page) == "difference 30 of 30"
    expect(page.locator(".turn:focus .query")).to_have_text("“what changed?”")
    page.keyboard.press("n")
    assert status(page) == "That was the last difference."
    page.keyboard.press("/")
    page.keyboard.type("nftp?/")
    assert (focused(page), page.input_value("#search")) == ("search", "nftp?/")
    page.keyboard.press("Escape")
    assert (focused(page), page.input_value("#search")) == ("", "")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.locator("#sessions").focus()
    page.keyboard.press("f")
    assert page.locator(".turns:visible").count() == 0
    page.click("#keys")
    page.get_by_label("Single keys are commands").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("f")
    assert page.locator(".turns:visible").count() == 0
    page.click("#fold")
    assert page.locator(".turns:visible").count() > 100


def test_the_theme_follows_the_system_and_the_toggle(open_report: Open, reports: Path) -> None:
    """Dark where the system is, light where the reader says so, and remembered."""
    ground = "getComputedStyle(document.body).backgroundColor"
    page = open_report(reports / "billing.html", color_scheme="dark")
    dark = page.evaluate(ground)
    page.click("#theme")
    assert page.locator("#theme").inner_text() == "Theme: light"
    light = page.evaluate(ground)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert (page.evaluate(ground), page.locator("#theme").inner_text()) == (light, "Theme: light")
    page.keyboard.press("t")
    assert page.evaluate(ground) == dark != light


def test_an_entry_is_read_beside_its_list(open_report: Open, reports: Path) -> None:
    """Words of the query are marked in any script and inflection; ranks, cuts and missing texts are said."""
    page = open_report(reports / "billing.html")
    panel = page.locator("#entry")
    page.get_by_role("button", name="Invoices").first.click()
    expect(panel.locator(".text")).to_have_text("We keep invoices for ten years.")
    assert panel.locator("mark").all_inner_texts() == ["Invoices", "keep", "invoices"]
    assert panel.locator("tbody tr").all_inner_texts() == ["A cosine\t1\t0.9", "B minilm-v3\t4\t0.1", "retrieval\t1\t"]
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent") == "Invoices"
    page.get_by_role("button", name="請求書").first.click()
    expect(panel.locator(".text mark")).to_have_text(["invoice", "請求書"])
    page.get_by_role("button", name="A long one").first.click()
    expect(panel.locator(".missing")).to_have_text("Cut here: 2,009 more characters are not in this page.")
    page.get_by_role("button", name="kb-4").first.click()
    expect(panel.locator(".missing")).to_have_text("No text: text not stored; no longer in the source.")
    page.locator("details.served summary").click()
    assert page.locator("details.served summary").inner_text() == "Served in production by v2: 2 entries"
    page.get_by_role("button", name="kb-9").click()
    expect(panel.locator(".missing")).to_contain_text("not in the turn's pool")


def test_paper_holds_what_is_listed(open_report: Open, reports: Path) -> None:
    """Printing draws sessions that were never scrolled to, and leaves out what only a screen needs."""
    page = open_report(reports / "long.html")
    page.select_option("#outcome", "d")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".turn").count() == 2 * 30
    for hidden in ("#filters", ".tools", ".link"):
        assert page.locator(hidden).first.is_hidden()
    assert page.locator("#verdict").is_visible()
    assert len(page.pdf()) > 10_000


def test_a_phone_shows_all_of_it_without_scrolling_sideways(open_report: Open, reports: Path) -> None:
    """At 375 pixels the lists stand below each other; no part is wider than the screen."""
    page = open_report(reports / "hard.html", viewport=PHONE, color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    first, second = (page.locator(".turn .column").nth(at).bounding_box() for at in (0, 1))
    assert first is not None
    assert second is not None
    assert second["y"] >= first["y"] + first["height"]
