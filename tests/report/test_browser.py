"""The page in a browser: opens from a file, draws, answers, and can be used by everyone."""

from importlib.resources import files

import pytest

from offmap.report.html import html

pytestmark = pytest.mark.browser

DRAWN = "[...document.querySelectorAll('.chart')].every(box => box.dataset.state === 'drawn')"
MARKS = """box => box.querySelectorAll(
    'svg .role-mark path, svg .role-mark rect, svg .role-mark line, svg .role-mark text'
).length"""


@pytest.fixture(scope="module")
def address(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html(report))
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """Opens the page in a window; afterwards nothing went wrong, and nothing left the machine."""
    contexts, wrong, asked = [], [], []

    def open_(**window):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | window))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not wrong
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [
        address for _ in contexts
    ]


def open_all(page):
    """Every reading open and every chart drawn, by scrolling as a reader would."""
    page.click("#toggle")
    for box in page.locator(".chart").all():
        box.scroll_into_view_if_needed()
    page.wait_for_function(DRAWN)


def test_every_chart_is_drawn_with_its_marks(opened, report):
    page = opened()
    assert page.title() == "digits-cnn · offmap report"
    assert page.locator(".chart svg").count() == 0  # nothing is drawn that nobody looks at
    open_all(page)
    boxes = page.locator(".chart").all()
    assert len(boxes) == 8  # seven, one of them in the why section as well
    for box in boxes:
        assert box.evaluate(MARKS) >= 4
        size = box.locator("svg").first.bounding_box()
        assert size and size["width"] > 300 and size["height"] > 80


def test_a_chart_says_its_numbers_where_the_mouse_is(opened):
    page = opened()
    page.locator("summary", has_text="Generalization gap").click()
    page.wait_for_selector(".chart[data-state=drawn]")
    box = page.locator(".chart[data-state=drawn]").first
    box.locator("svg .mark-symbol path").first.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    said = page.locator("#vg-tooltip-element").inner_text()
    assert "airplane" in said and "0.1" in said


def test_hostile_names_in_a_tooltip_are_text(opened, build):
    page = opened()
    page.locator("summary", has_text="Generalization gap").click()
    page.wait_for_selector(".chart[data-state=drawn]")
    box = page.locator(".chart[data-state=drawn]").first
    box.locator("svg .mark-symbol path").nth(2).hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "<b>x</b>" in page.locator("#vg-tooltip-element").inner_text()
    assert page.locator("#vg-tooltip-element b, #vg-tooltip-element script").count() == 0


def test_readings_open_and_close_by_mouse_and_keyboard(opened):
    page = opened()
    reading = page.locator("details.reading", has_text="Calibration error").first
    body = reading.locator(".body")
    assert not body.is_visible()
    reading.locator("summary").first.click()
    assert body.is_visible() and "Kumar" in body.inner_text()
    reading.locator("summary").first.press("Enter")
    assert not body.is_visible()
    reading.locator("summary").first.press("Space")
    assert body.is_visible()
    toggle = page.locator("#toggle")
    toggle.press("Enter")
    assert toggle.get_attribute("aria-pressed") == "true"
    assert page.locator("details:not([open])").count() == 0
    toggle.press("Enter")
    assert page.locator("details[open]").count() == 0


def test_a_verdict_leads_to_its_reading(opened):
    page = opened()
    page.locator(".card a", has_text="Distance of confidence").click()
    reading = page.locator("details.reading[open]")
    reading.first.wait_for()
    assert reading.count() == 1 and "Calibration error" in reading.inner_text()
    page.wait_for_function(
        "Math.abs(document.querySelector('details[open]').getBoundingClientRect().top) < 300"
    )


def test_the_first_key_skips_to_the_report(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_is_wider_than_a_phone(opened, width):
    page = opened(viewport={"width": width, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.locator(".chart svg")
    assert max(boxes.nth(k).bounding_box()["width"] for k in range(boxes.count())) <= width


def test_light_and_dark(opened):
    shades = {}
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        open_all(page)
        shades[scheme] = page.evaluate(
            """() => [
                getComputedStyle(document.body).backgroundColor,
                getComputedStyle(document.body).color,
                getComputedStyle(document.querySelector('.chart .role-axis text')).fill,
                getComputedStyle(document.querySelector('.chart .mark-symbol path')).fill,
            ].map(color => color.match(/[0-9.]+/g).slice(0, 3)
                .reduce((sum, part) => sum + Number(part), 0))"""
        )
    paper, ink, axis, mark = zip(shades["light"], shades["dark"], strict=True)
    assert paper[0] > 700 and paper[1] < 120
    assert ink[0] < 150 and ink[1] > 600
    assert axis[0] < axis[1] and mark[0] < mark[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_barrier(opened, scheme):
    """axe-core, with every reading open."""
    page = opened(color_scheme=scheme, viewport={"width": 1000, "height": 800}, bypass_csp=True)
    open_all(page)
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    barriers = {
        f"{violation['impact']}: {violation['id']}: {node['html'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"]
        if violation["impact"] in ("serious", "critical")
    }
    assert not barriers, "\n".join(sorted(barriers))
    assert len(found["passes"]) > 20  # it did look


def test_it_can_be_printed(opened):
    page = opened()
    open_all(page)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("details.reading .body").first.is_visible()
    assert page.pdf()[:5] == b"%PDF-"


def test_without_a_script_the_numbers_are_still_there(opened):
    page = opened(java_script_enabled=False)
    assert "19.2%" in page.locator("#verdicts").inner_text()
