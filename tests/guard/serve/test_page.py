"""The page in a browser: an image is dropped or picked, scaled here, and the verdict is shown."""

import base64
import socket
import threading
from importlib.resources import files
from time import sleep

import numpy as np
import pytest
import uvicorn
from PIL import Image

from offmap.guard.serve.app import create_app

pytestmark = pytest.mark.browser

TOKEN = "a-token-of-thirty-two-characters"


@pytest.fixture(scope="module")
def serving(guard):
    """Services in threads of this process; their addresses."""
    servers = []

    def start(**settings):
        app = create_app(guard, name="digits", **settings)
        sock = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        servers.append((server, thread))
        while not server.started:
            sleep(0.01)
        return f"http://127.0.0.1:{sock.getsockname()[1]}", app

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def address(serving):
    return serving()


@pytest.fixture
def wrong():
    """What the browser complained of."""
    return []


@pytest.fixture
def opened(browser, address, wrong):
    """Opens the page; afterwards nothing went wrong, and nothing was asked of anyone else."""
    contexts, asked = [], []

    def open_(at=address[0], **window):
        window = {"viewport": {"width": 1200, "height": 900}} | window
        contexts.append(browser.new_context(**window))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(at)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not wrong
    assert all(url.startswith(("http://127.0.0.1:", "data:", "blob:")) for url in asked)


@pytest.fixture
def picture(tmp_path, fresh):
    """A digit as a large color image of another shape."""
    shades = (fresh[0, 0].numpy() * 255).round().astype(np.uint8)
    large = np.repeat(np.repeat(shades, 40, axis=0), 40, axis=1)  # 320 x 320
    path = tmp_path / "digit.png"
    Image.fromarray(np.dstack([large] * 3)).save(path)
    return path


def verdict(page):
    page.wait_for_selector(".verdict")
    page.wait_for_function("() => document.getElementById('answers').ariaBusy === 'false'")
    return page.locator(".verdict").first


def test_an_image_may_come_before_the_page_is_ready(opened, address, picture):
    page = opened("about:blank")
    held = []
    page.route("**/guard", lambda route: held.append(route))  # the answer to this comes late
    page.goto(address[0])
    page.set_input_files("#file", picture)
    page.wait_for_timeout(300)
    assert held and not page.locator(".verdict").count()
    held[0].continue_()
    assert verdict(page).is_visible()


def test_an_image_is_scaled_here_and_judged(opened, picture, guard, fresh, address):
    page = opened()
    page.wait_for_selector("#images:not([hidden])")
    assert page.title() == "digits · offmap guard"
    seen = address[1].state.service.alarm.count
    page.set_input_files("#file", picture)
    shown = verdict(page)
    (direct,) = guard.answer(fresh[:1].mul(255).round().div(255))
    assert shown.locator(".said").inner_text() == direct.label == f"digit {direct.prediction}"
    assert "Accepted" in shown.locator(".badge").inner_text()
    assert direct.detail[1:] in shown.locator(".detail").inner_text()
    rows = [near.row for near in direct.neighbors]
    images = shown.locator(".near img")
    assert images.count() == len(rows) == 5
    for place, row in enumerate(rows):
        assert images.nth(place).get_attribute("alt") == f"Training example {row}"
        assert images.nth(place).evaluate("image => image.complete && image.naturalWidth") == 8
    canvas = page.evaluate(
        "[...document.getElementById('canvas').getContext('2d').getImageData(0, 0, 8, 8).data]"
    )
    shades = np.array(canvas, np.uint8).reshape(8, 8, 4)[..., 0]
    assert np.abs(shades / 255 - fresh[0, 0].numpy()).max() < 0.02
    assert address[1].state.service.alarm.count == seen  # trying things out is no traffic


def test_options_change_the_question(opened, picture):
    page = opened()
    page.set_input_files("#file", picture)
    verdict(page)
    before = page.locator(".detail").inner_text()
    page.check("#invert")
    page.wait_for_function(
        "before => document.querySelector('.detail')?.innerText !== before", arg=before
    )
    page.check("input[value=contain]")
    verdict(page)


def test_an_image_is_dropped_anywhere(opened, picture):
    page = opened()
    page.wait_for_selector("#images:not([hidden])")
    data = base64.b64encode(picture.read_bytes()).decode()
    page.evaluate(
        """async data => {
            const blob = await (async () => {
                const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
                return new File([bytes], "x.png", { type: "image/png" });
            })();
            const transfer = new DataTransfer();
            transfer.items.add(blob);
            document.body.dispatchEvent(new DragEvent("drop", {
                dataTransfer: transfer, bubbles: true, cancelable: true,
            }));
        }""",
        data,
    )
    assert "digit" in verdict(page).locator(".said").inner_text()


def test_numbers_are_taken_too(opened, fresh, guard):
    page = opened()
    page.click("#numbers summary")
    strange = [[[0.5] * 8] * 8]
    page.fill("#json", str([fresh[0].tolist(), strange, [1.0]]))
    page.click("#paste button")
    page.wait_for_function("() => document.querySelectorAll('.verdict').length === 3")
    badges = page.locator(".badge").all_inner_texts()
    assert "Accepted" in badges[0] and "off the map" in badges[1] and "contract" in badges[2]
    page.fill("#json", str(fresh[0].flatten().tolist()))
    page.click("#paste button")
    page.wait_for_function("() => document.querySelectorAll('.verdict').length === 1")
    page.fill("#json", "[1, 2")
    page.click("#paste button")
    assert "not JSON" in page.locator(".problem").inner_text()


def test_what_is_no_image_is_said(opened, tmp_path):
    page = opened()
    page.wait_for_selector("#images:not([hidden])")
    path = tmp_path / "no.png"
    path.write_bytes(b"<script>alert(1)</script>")
    page.set_input_files("#file", path)
    page.wait_for_selector(".problem")
    assert "no image" in page.locator(".problem").inner_text()


def test_the_token_is_asked_for(opened, serving, picture, wrong):
    at, _ = serving(token=TOKEN)
    page = opened(at)
    page.wait_for_selector("#door:not([hidden])")
    page.fill("#token", "wrong")
    page.click("#door button")
    page.fill("#token", TOKEN)
    page.click("#door button")
    page.wait_for_selector("#images:not([hidden])")
    page.set_input_files("#file", picture)
    assert "digit" in verdict(page).locator(".said").inner_text()
    refused = [said for said in wrong if "401" in said]  # the browser says it by itself
    assert refused and len(refused) == len(wrong)
    wrong.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_barrier(opened, picture, scheme):
    page = opened(color_scheme=scheme, bypass_csp=True)
    page.set_input_files("#file", picture)
    verdict(page)
    page.click("#numbers summary")
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    barriers = {
        f"{violation['impact']}: {violation['id']}: {node['html'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"]
        if violation["impact"] in ("serious", "critical")
    }
    assert not barriers, "\n".join(sorted(barriers))
    assert len(found["passes"]) > 15


def test_nothing_is_wider_than_a_phone(opened, picture):
    page = opened(viewport={"width": 360, "height": 740})
    page.set_input_files("#file", picture)
    verdict(page)
    page.click("#numbers summary")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_by_keyboard(opened, fresh):
    page = opened()
    page.wait_for_selector("#images:not([hidden])")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#numbers summary")
    page.keyboard.press("Enter")
    page.focus("#json")
    page.keyboard.insert_text(str(fresh[1].flatten().tolist()))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    verdict(page)
