"""The page in a real browser: no errors, no requests, sorting, zooming, and a phone's width."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.browser import CHROMIUM, Browser
from tests.support.synthetic_page import write_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)")

ROWS = "[...document.querySelectorAll('#results tbody')][0].rows"
PHONE = (390, 844)
PAPER = (1032, 703)  # A4 landscape without its margins, at 96 pixels per inch
SETTLED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page, 1280, 900)
    return browser


def names(browser: Browser) -> Any:
    return browser.evaluate(f"[...{ROWS}].map(row => row.cells[0].textContent)")


def span(browser: Browser) -> float:
    browser.evaluate(SETTLED)
    return float(browser.evaluate("document.getElementById('matrix').dataset.span"))


def middle(browser: Browser, selector: str) -> tuple[float, float]:
    found = browser.evaluate(
        f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{block: 'center'}});"
        " const box = e.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    return float(found[0]), float(found[1])


def click(browser: Browser, selector: str) -> None:
    x, y = middle(browser, selector)
    for kind in ("Pressed", "Released"):
        browser.mouse(kind, x, y, button="left", clickCount=1)


def test_the_console_is_empty_and_nothing_is_requested(opened: Browser, page: Path) -> None:
    click(opened, "#matrix-in")
    assert opened.problems == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [page.as_uri()]


def test_the_page_can_request_nothing_and_run_no_other_script(opened: Browser) -> None:
    refused = "new Promise(done => { addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
    refused += " fetch('https://example.org').finally(() => setTimeout(done, 500, 'asked')).catch(() => 0); })"
    assert opened.evaluate(refused) == "connect-src"
    opened.evaluate("(() => { const s = document.createElement('script'); s.text = 'window.ran = 1';"
                    " document.body.append(s); })()")  # fmt: skip
    assert opened.evaluate("window.ran ?? 'refused'") == "refused"


def test_a_click_sorts_a_second_one_reverses_and_missing_values_come_last(opened: Browser) -> None:
    assert names(opened) == ["small", "vgg", "large"]
    click(opened, "#results th:nth-child(2) button")  # top-1
    assert names(opened) == ["large", "vgg", "small"]
    click(opened, "#results th:nth-child(2) button")
    assert names(opened) == ["small", "vgg", "large"]
    assert opened.evaluate("document.querySelector('#results th:nth-child(2)').ariaSort") == "ascending"
    for _ in range(2):
        click(opened, "#results th:nth-child(3) button")  # published: vgg alone has it
        assert names(opened)[0] == "vgg"
    click(opened, "#results th:nth-child(1) button")
    assert names(opened) == ["large", "small", "vgg"]


def test_a_class_is_found_by_its_name(opened: Browser) -> None:
    shown = "[...document.querySelectorAll('#per-class tbody tr')].filter(row => !row.hidden).length"
    assert opened.evaluate(shown) == 12
    opened.evaluate("document.querySelector('[data-filters]').focus()")
    opened.call("Input.insertText", text="CLASS 1")
    assert opened.evaluate(shown) == 3  # class 1, class 10, class 11


def test_the_matrix_zooms_in_and_out_by_button_key_and_wheel(opened: Browser) -> None:
    assert span(opened) == 12
    click(opened, "#matrix-in")
    assert span(opened) == 6
    click(opened, "#matrix-whole")
    assert span(opened) == 12
    opened.evaluate("document.getElementById('matrix').focus()")
    opened.call("Input.dispatchKeyEvent", type="keyDown", key="+")
    assert span(opened) == 7.5
    x, y = middle(opened, "#matrix")
    opened.mouse("Wheel", x, y, deltaX=0, deltaY=300)
    assert span(opened) == 12


def test_a_cell_is_described_and_another_model_has_other_counts(opened: Browser) -> None:
    x, y = middle(opened, "#matrix")
    half = float(opened.evaluate("document.getElementById('matrix').clientWidth")) / 2
    opened.mouse("Moved", x + half - 8, y + half - 8)
    read = "document.getElementById('readout').textContent"
    assert opened.evaluate(read) == "8 of 10 images of class 11 are recognised."
    opened.evaluate("(() => { const s = document.getElementById('matrix-model'); s.value = 'small';"
                    " s.dispatchEvent(new Event('change')); })()")  # fmt: skip
    assert opened.evaluate(read) == "2 of 10 images of class 11 are recognised."


def test_the_matrix_is_drawn_in_both_schemes(opened: Browser) -> None:
    painted = "document.getElementById('matrix').toDataURL()"
    ground = "getComputedStyle(document.body).backgroundColor"
    light, white = opened.evaluate(painted), opened.evaluate(ground)
    opened.prefer("dark")
    opened.evaluate(SETTLED)
    assert opened.evaluate(ground) != white
    assert opened.evaluate(painted) != light


def test_on_a_phone_only_tables_scroll_sideways(browser: Browser, page: Path) -> None:
    browser.open(page, *PHONE, touch=True)
    width = "document.scrollingElement.scrollWidth"
    assert browser.evaluate(width) == PHONE[0]
    assert browser.evaluate("document.querySelector('#results .scroll').scrollWidth") > PHONE[0]
    wide = "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, svg, noscript')"
    wide += " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    assert browser.evaluate(wide) == []


def test_printing_opens_all_details(opened: Browser) -> None:
    closed = "document.querySelectorAll('details:not([open]):not([data-model])').length"
    assert opened.evaluate(closed) > 0
    assert len(opened.call("Page.printToPDF")["data"]) > 10_000
    assert opened.evaluate(closed) == 0


def test_a_printed_page_is_white_and_not_cut(browser: Browser, page: Path) -> None:
    browser.open(page, *PAPER)
    browser.prefer("dark", media="print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("document.scrollingElement.scrollWidth") == PAPER[0]
