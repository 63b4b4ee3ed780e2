"""The report against hostile data, and for people who do not see it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, Page, expect

from tests.browser.conftest import DESK, PHONE, Open
from tests.render_cases import hard_run
from tests.report_cases import ATTACKS, hostile_run, hostile_surroundings, surroundings, timed, written


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose every text attacks it."""
    return written(tmp_path_factory.mktemp("hostile") / "report.html", *hostile_run(), hostile_surroundings())


def test_hostile_data_stays_text(open_report: Open, hostile: Path) -> None:
    """Everything opened: nothing ran, nothing was asked for, nothing was logged (the fixture sees to that)."""
    page = open_report(hostile)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    text = page.locator("body").inner_text()
    for attack in (
        ATTACKS[0],
        ATTACKS[1],
        ATTACKS[4],
        ATTACKS[7],
        "<U+202E>gnp.exe",
        "␛[2J",
        "lone <U+D800> surrogate",
    ):
        assert attack in text
    assert page.locator("img, iframe, object, embed, script:not([type]):not(:last-of-type)").count() == 0
    page.locator("#list").scroll_into_view_if_needed()
    for at in range(len(ATTACKS)):
        page.locator(".row .title").nth(at).click()
        expect(page.locator("#entry .text")).not_to_have_text("Reading …")
    assert page.locator("#entry a").count() == 0
    page.fill("#search", ATTACKS[0])
    expect(page.locator("#status")).to_contain_text(" of 10 sessions")
    for session in ("s " + ATTACKS[2], "s lone \ufffd surrogate"):
        page.evaluate("fragment => { location.hash = fragment }", f"#session={quote(session, safe='')}")
        page.wait_for_selector(".session:focus")


def test_the_policy_forbids_what_escaping_prevents(open_report: Open, hostile: Path) -> None:
    """Markup or a script that somehow got in would not run: the browser refuses both."""
    page = open_report(hostile, is_tampered=True)
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>x</b>'")
    with pytest.raises(Error, match="TrustedScript"):
        page.evaluate("document.body.appendChild(document.createElement('script')).text = 'window.pwned = 9'")
    page.evaluate("document.body.appendChild(document.createElement('script')).append('window.pwned = 9')")
    refused = page.evaluate(
        """() => new Promise((done) => {
          addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective), { once: true });
          document.body.appendChild(document.createElement("img")).src = "https://evil.example/x.png";
        })"""
    )
    assert refused == "img-src"


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", DESK), ("dark", DESK), ("light", PHONE)], ids=["light", "dark", "phone"]
)
def test_no_serious_violation_of_accessibility(
    open_report: Open, tmp_path: Path, scheme: str, size: dict[str, int]
) -> None:
    """None by axe-core, with every turn drawn, disclosures open and an entry being read."""
    run, outcomes = hard_run(others=2, noise=True)
    path = written(tmp_path / "report.html", timed(run), outcomes, surroundings())
    page: Page = open_report(path, viewport=size, color_scheme=scheme)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.locator("#list").scroll_into_view_if_needed()
    page.locator(".row .title").first.click()
    found = Axe().run(page).response["violations"]
    serious = [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert serious == []
