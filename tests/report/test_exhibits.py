"""The why section shows the figures it names, each once, beside the numbers they explain."""

import json
import re

import pytest
import torch

from offmap.catalog import measures
from offmap.estimate import exact
from offmap.figures import Curve, Gallery
from offmap.reading import Reading
from offmap.report import exhibits
from offmap.report.exhibits import EXHIBITS, Exhibit
from offmap.report.html import html


@pytest.fixture
def made(report, build, monkeypatch):
    """A page whose why section has one exhibit, for a report of two splits."""
    line = torch.linspace(0, 1, 5)
    pictures = Gallery("Farthest of all", ("test", "train"), torch.tensor([[3, 4]]), ("far",))
    other = Gallery("Something else", ("test", "train"), torch.tensor([[5, 6]]), ("else",))

    def reading(split, *figures):
        curve = Curve("Coverage of it", "distance", "share", line, {split: line})
        found = Reading(exact(0.25), null=exact(0.05), figures=(curve, *figures))
        return build.entry("train_neighbor_distance", split, found)

    def page(exhibit, entries=None):
        monkeypatch.setattr(exhibits, "EXHIBITS", (exhibit,))
        whole = entries or (reading("test", pictures, other), reading("fog"))
        text = html(build.only(report, *whole))
        return text, text[text.index('id="why"') : text.index('id="readings"')]

    return page


def test_charts_and_galleries_of_the_named_title_are_shown(made):
    text, why = made(Exhibit("How far?", "Look left.", ("train_neighbor_distance",)))
    assert "How far?" in why and "Look left." in why
    assert re.findall(r'data-chart="(\d)"', why) == ["0", "1"]
    assert [m for m in ("Farthest of all", "Something else") if m in why] == [
        "Farthest of all", "Something else",
    ]  # fmt: skip
    assert why.count('class="gallery"') == 2 and 'id="examples"' not in text
    assert text.count('id="gallery-1"') == 1
    some = made(Exhibit("How far?", "Look left.", ("train_neighbor_distance",), "Farthest"))[1]
    assert "data-chart" not in some
    inside, outside = some.split('id="examples"')
    assert "Farthest of all" in inside and "Something else" in outside
    assert "Something else" not in inside and "Farthest of all" not in outside


def test_the_data_of_a_chart_is_held_once(made):
    text, why = made(Exhibit("How far?", "Look left.", ("train_neighbor_distance",)))
    held = re.search(r'id="charts">(.*?)</script>', text, re.DOTALL)
    assert held and len(json.loads(held[1])) == 2
    assert text.count('data-chart="0"') == 2 and why.count('data-chart="0"') == 1


def test_the_first_measure_that_was_read_is_shown_and_none_is_no_exhibit(made, report):
    asked = ("hull_membership", "train_neighbor_distance")
    assert "data-chart" in made(Exhibit("How far?", "Look.", asked))[1]
    assert "Who?" not in made(Exhibit("Who?", "Look.", ("calibration_error",)))[1]


def test_no_more_than_fits_the_eye(made, build):
    line = torch.linspace(0, 1, 5)
    entries = [
        build.entry("train_neighbor_distance", f"s{k}", Reading(
            exact(0.2), figures=(Curve(f"c{k}", "x", "y", line, {"a": line}),)))
        for k in range(9)
    ]  # fmt: skip
    why = made(Exhibit("How far?", "Look.", ("train_neighbor_distance",)), entries)[1]
    assert len(re.findall("data-chart", why)) == 4


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.asks)
def test_exhibits_name_measures(exhibit):
    assert set(exhibit.measures) <= set(measures())
    assert exhibit.asks.endswith("?") and exhibit.look.endswith(".")
