"""The page *What holds*: everything is on it, it opens offline, and nothing in it can do harm."""

import re

import pytest
import torch

from offmap.figures import Curve
from offmap.lab.claim import ROOMS, SCALES, Paper, Trial, claim
from offmap.lab.finding import Done, Finding
from offmap.lab.page import counts, html, markdown, ruler
from offmap.reading import Failed

NASTY = "<img src=x onerror=alert(1)> | and </script> too."
FIGURE = Curve("A line", "steps", "height", torch.arange(5.0), {"up": torch.arange(5.0)})


def finding(name, room, effects, *, failed=0, **changes):
    def toy(*, generator) -> Trial:
        r"""Draw, then measure.

        .. math:: \frac{a}{b_i}
        """
        return Trial(0.0)

    toy.__name__, toy.__module__ = name, f"offmap.lab.claims.{room}.{name}"
    given = {
        "says": f"{name} is so.", "effect": f"how {name}", "above": 0.5,
        "scales": {scale: {} for scale in SCALES}, "seconds": dict.fromkeys(SCALES, 1.0),
        "paper": Paper("Somebody 2020", "https://example.org/paper"),
    }  # fmt: skip
    unit = claim(**(given | changes))(toy)
    outcomes = [Trial(e, {"part": e / 2}, (FIGURE,), ("A note.",)) for e in effects]
    outcomes += [Failed("Diverged: step 3", "trace")] * failed
    trials = tuple(Done(seed, outcome, 2.0) for seed, outcome in enumerate(outcomes))
    made = {"commit": "abc1234", "command": "offmap lab run", "machine": "a machine"}
    return Finding(unit.statement, "desk", {"size": 4}, trials, made)


@pytest.fixture
def findings():
    return [
        finding("right", "capacity", [1.0, 1.1, 0.9]),
        finding("popular", "interpolation", [0.1, 0.1, 0.12], corrected="right"),
        finding("open", "off_map", [0.4, 0.6, 0.5]),
        finding("broken", "off_map", [1.0, 1.1], failed=1),
        finding("single", "manifold", [1.0], says=NASTY, paper=Paper(NASTY, "javascript:alert(1)")),
    ]


def test_every_claim_is_on_it_with_its_verdict(findings):
    page = html(findings)
    assert counts(findings) == {"supported": 1, "refuted": 1, "inconclusive": 2, "none": 1}
    for found in findings[:4]:
        assert f'<details class="claim {found.verdict}" id="{found.statement.name}">' in page
        assert found.statement.effect in page
    assert 'Rather: <a href="#right">right is so.</a>' in page
    assert "1 of 3 trials failed, the first with seed 2: Diverged: step 3" in page
    assert "give --seeds 2 or more" in page
    assert "a / b_i" in page
    assert "abc1234" in page


def test_words_of_others_stay_words(findings):
    page = html(findings)
    assert "<img src=x" not in page
    assert "javascript:alert" not in page
    row = next(line for line in markdown(findings).splitlines() if "onerror" in line)
    assert row.count(" | ") == 8  # nine cells: the bar of the text is escaped


def test_it_asks_nothing_of_the_network(findings):
    page = html(findings)
    assert not re.search(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//", page)


def test_places_on_the_ruler(findings):
    """On the scale of the ruler, places are as far apart as numbers are."""
    found = ruler(findings[0])
    numbers = [0.5, 1.0, 1.1, 0.9]
    places = [*found.lines, *found.seeds]
    slope = (places[1] - places[0]) / 0.5
    assert slope > 0
    for number, place in zip(numbers, places, strict=True):
        assert place == pytest.approx(places[0] + slope * (number - 0.5), abs=0.02)
    assert 0 < min(found.low, *places) < max(found.high, *places) < 100
    assert ruler(findings[4]) is None


def test_the_table_has_every_column(findings):
    text = markdown(findings, link="{}.md")
    assert [title for title in ROOMS.values() if f"## {title}" in text] == [
        "Interpolation and extrapolation", "Manifold and density", "Capacity and regularization",
        "Off the map",
    ]  # fmt: skip
    row = next(line for line in text.splitlines() if "[Popular](popular.md)" in line)
    for said in (
        "popular is so.",
        "right is so.",
        "how popular",
        "above 0.5",
        "**refuted**",
        "6 s",
    ):
        assert said in row


def test_it_opens_and_draws(findings, browser, tmp_path):
    (tmp_path / "page.html").write_text(html(findings), encoding="utf-8")
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator("details.claim:visible").count() == 5
    page.locator("#show-refuted").check()
    assert page.locator("details.claim:visible").count() == 1
    page.locator("#show-all").check()
    page.locator("#toggle").click()
    page.locator("#right").scroll_into_view_if_needed()
    page.locator("#right .chart[data-state=drawn] svg").first.wait_for()
    assert not errors
    page.close()
