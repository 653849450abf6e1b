"""The page in a real browser. Where Debian's Chromium (package `chromium`) or playwright is absent these tests skip."""

import os
import shutil

import pytest
from report_cases import SCRIPT
from soak import EVERY

pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (apt-get install chromium)")
WIDTHS = (400, 1400)
SCHEMES = ("light", "dark")
RUNS = ("judged", "informed", "unjudged")


def pairs_of(views):
    """Returns one run in every view and the others in the first; in `make soak` all in every one."""
    return [(name, view) for name in RUNS for view in (views if EVERY or name == "judged" else views[:1])]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    # As root, which CI is, Chromium starts without its sandbox alone.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, "--disable-background-networking"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, request):
    """Opens a run's page from the disk; returns it, and what its console said and what it asked for."""
    contexts = []

    def open_page(name, width=1400, scheme="light"):
        # Scripts of ours (axe) are to run in spite of the page's own policy.
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
        contexts.append(context)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda asking: asked.append(asking.url))
        out, _ = request.getfixturevalue(name)
        page.goto((out / "report.html").as_uri())
        return page, said, asked

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", RUNS)
def test_the_page_opens_from_disk_in_silence(opened, name):
    page, said, asked = opened(name)
    assert page.title().startswith("tfadt run")
    assert said == []
    assert asked == [page.url]


@pytest.mark.parametrize(("name", "width"), pairs_of(WIDTHS))
def test_nothing_is_wider_than_the_screen(opened, name, width):
    page, _, _ = opened(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # What is wider stands in a region that scrolls by itself.
    wider = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right"
    assert page.evaluate(f"{wider} > {width}).map(e => e.outerHTML.slice(0, 80))") == []


@pytest.mark.parametrize(("name", "scheme"), pairs_of(SCHEMES))
def test_axe_finds_no_fault(opened, name, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page, _, _ = opened(name, WIDTHS[0], scheme)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    passed = {rule["id"] for rule in found.response["passes"]}
    assert {"color-contrast", "heading-order", "svg-img-alt", "document-title", "html-has-lang"} <= passed


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colours_of_pictures_stand_out_from_the_ground(opened, scheme):
    from tfadt.report.drawing import COLOURS

    page, _, _ = opened("judged", scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = tuple(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(","))
    for colour in COLOURS:
        assert contrast(tuple(bytes.fromhex(colour[1:])), channels) >= 3, colour


def test_an_id_that_is_a_script_is_text(opened):
    page, said, _ = opened("unjudged")
    assert SCRIPT in page.inner_text("body")
    assert page.locator("script").count() == 0
    assert said == []


def test_the_page_can_be_printed(opened):
    page, _, _ = opened("judged", scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF")


def contrast(one, other):
    """Returns the contrast of two colours as WCAG 2 has it, from 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (channel / 255 for channel in colour)]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
