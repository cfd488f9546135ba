"""The page as text: whole, escaped, self-contained, and bounded. What it does is test_browser's."""

import json
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import pytest
import torch

from offmap.estimate import Method, exact, proportion
from offmap.figures import Curve, Gallery
from offmap.reading import Failed, Reading
from offmap.report import views
from offmap.report.charts import chart
from offmap.report.html import LIMIT, html
from offmap.report.strip import strips

VOID = {"meta", "link", "img", "br", "hr", "input", "line", "circle", "path"}


class Page(HTMLParser):
    """Elements and text of a page, and whether every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def said(self):
        """What a reader sees, without scripts and styles."""
        words = " ".join(data for tag, data in self.texts if tag not in ("script", "style"))
        return " ".join(words.split())


@pytest.fixture(scope="module")
def text(report):
    return html(report)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_it_is_whole_and_names_are_unique(page):
    assert page.elements[0] == ("html", {"lang": "en"})
    ids = Counter(a["id"] for _, a in page.elements if "id" in a)
    assert max(ids.values()) == 1
    targets = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert targets <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and levels.count(1) == 1


def test_strings_of_the_user_are_text(page, build):
    assert build.HOSTILE.split()[0] in page.said  # </script><script>alert('<b>x</b>')</script>
    assert len(page.all("script")) == 3 and not page.all("b")


def test_nothing_is_asked_of_the_network(page):
    """Only links that a person may follow lead out."""
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "data", "action") and value:
                assert value.startswith(("#", "data:")) or (
                    tag == "a" and value.startswith("https://")
                )
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_the_data_in_the_page_is_that_of_the_charts(page, report):
    held = next(d for (tag, d) in page.texts if tag == "script" and d.startswith("[{"))
    made = [chart(f) for e in report.entries if e.reading for f in e.reading.figures]
    expected = [{"spec": c.spec, "table": c.table} for c in made if c]
    assert json.loads(held) == json.loads(json.dumps(expected))
    shown = {int(a["data-chart"]) for a in page.all("div") if "data-chart" in a}
    assert shown == set(range(len(expected)))


def test_everything_that_a_report_says_is_said(page, report):
    for words in (
        "Does it hold near its data?", "Does not hold", "does not hold above 15%",
        "19.2%", "[17.1%, 21.4%]", "bootstrap over 20,000 examples", "0.8% [0.0%, 1.6%]",
        "bins=15", "Kumar, Liang & Ma 2019", "group 39", "and 260 more parts in report.json",
        "Rests on few examples.", "split 'test' has no groups", "Traceback (most recent call",
        "400 of 3,000 points are drawn", "nobody stated the domain", "Forward pass on test",
        "distance 0.286", "If much is lost", "1 reading failed.", "had there been nothing to find",
        "of the four questions 2 hold and 2 do not hold.", "3 min 38 s", "1.3 s, 16.0 MiB at most",
    ):  # fmt: skip
        assert words in page.said, words
    assert len([a for a in page.all("details") if a.get("class") == "reading"]) == sum(
        e.reading is not None for e in report.entries
    )
    links = {a["href"] for a in page.all("a")}
    assert report.cards["calibration_error"].url in links


def test_pictures_are_shown_where_there_are_any(page, report, build):
    pictures = page.all("img")
    assert len(pictures) == 48 and all(a["alt"] for a in pictures)
    shown = {a["src"].removeprefix("data:image/png;base64,") for a in pictures}
    assert shown == {p for rows in report.thumbnails.values() for p in rows.values()}
    bare = Page(html(replace(report, thumbnails={})))
    assert not bare.all("img") and "distance 0.286" in bare.said


def test_a_link_that_is_not_https_is_no_link(report, build):
    card = report.cards["calibration_error"]
    cards = {**report.cards, "calibration_error": replace(card, url="javascript:alert(1)")}
    other = Page(html(replace(report, cards=cards)))
    assert not any("javascript" in str(a.get("href")) for a in other.all("a"))
    assert "Kumar, Liang & Ma 2019" in other.said


def test_a_report_with_next_to_nothing(report, build):
    empty = Page(html(replace(build.only(report), cards={}, thumbnails={})))
    assert empty.said.count("Not measured") >= 4
    assert "No reading is past its line beyond noise." in empty.said
    unknown = replace(report.entries[5], measure="gone", question="elsewhere")
    other = Page(html(replace(build.only(report, unknown), cards={})))
    assert "Gone" in other.said


def test_it_stays_under_three_megabytes_whatever_the_data(report, build):
    """A thousand classes, many splits, long texts, and every figure at its largest."""
    x = torch.linspace(0, 1, 100_000)
    series = {f"series {k}": torch.rand(100_000) for k in range(9)}
    curve = Curve("c", "x", "y", x, series, series, series)
    points = Gallery("g", ("test",), torch.zeros(90, 1, dtype=torch.long), ("long " * 50,) * 90)
    reading = Reading(
        exact(0.5),
        parts={f"class {k} {'with a long name' * 3}": proportion(k, 1000) for k in range(1000)},
        figures=(curve, curve, points),
        notes=("note " * 500,) * 100,
    )  # fmt: skip
    entries = [
        build.entry(name, f"shift {k}", reading)
        for k in range(5)
        for name in report.cards
    ]  # fmt: skip
    entries += [
        build.entry("noise_sensitivity", f"{k}", Failed("e" * 10_000, "t" * 100_000))
        for k in range(20)
    ]
    pictures = {"test": {str(k): "A" * 3900 for k in range(200)}}
    large = html(replace(build.only(report, *entries), thumbnails=pictures))
    assert len(large.encode()) < LIMIT == 3_000_000
    assert "in report.json" in Page(large).said


def test_detail_is_kept_while_there_is_room(text):
    assert len(text.encode()) < 1_500_000
    assert "do not fit into one page" not in text


def test_stray_surrogates_can_be_written(report):
    name = "weights-\udcff.pt"
    page = html(replace(report, provenance=replace(report.provenance, name=name)))
    assert "weights-?.pt" in page
    page.encode()


@pytest.mark.parametrize(
    ("value", "low", "high", "null", "span"),
    [
        (0.5, 0.4, 0.6, 0.1, (0.0, 1.0)),
        (3.0, 2.0, 5.0, 64.0, (1.0, float("inf"))),
        (-0.43, -0.43, -0.43, 0.0, (float("-inf"), float("inf"))),
        (0.0, 0.0, 0.0, None, (0.0, float("inf"))),
        (1e-9, 0.0, 2e-9, None, (0.0, 1.0)),
        (1.0, 1.0, 1.0, 1.0, (0.0, 1.0)),
    ],
)
def test_strips_are_in_order_and_to_scale(build, value, low, high, null, span):
    null_value = None if null is None else exact(null)
    made = strips([Reading(build.estimate(value, low, high), null=null_value)], span)[0]
    assert 0 <= made.low <= made.value <= made.high <= 100
    for place, number in ((made.value, value), (made.low, low), (made.high, high)):
        assert made.start + place / 100 * (made.stop - made.start) == pytest.approx(
            number, abs=1e-3 * (made.stop - made.start)
        )
    assert (made.null is None) == (null is None)
    if null is not None and null != value:
        assert (made.null > made.value) == (null > value)
    assert span[0] <= made.start < made.stop <= span[1]


def test_strips_of_one_measure_share_a_scale():
    made = strips([Reading(exact(value), null=exact(0.1)) for value in (0.2, 0.9)], (0.0, 1.0))
    assert [strip.value for strip in made] == [20, 90] and {strip.null for strip in made} == {10}


def test_why_shows_the_splits_of_a_measure_side_by_side(report, build):
    def rank(split, value):
        return build.entry("effective_rank", split, Reading(exact(value), null=exact(16.0)))

    several = build.only(report, rank("test", 2.0), rank("fog", 8.0))
    context = views.page(several, views.FILLS[0], views.Charts(chart, 0))
    (name, rows), *rest = context["why"][3][2]
    assert name == "Effective rank" and not rest
    assert [view.split for view, _ in rows] == ["test", "fog"]
    near, far = (strip.value for _, strip in rows)
    assert near < far and rows[0][1].null == rows[1][1].null


def test_the_first_sentence_counts_what_is_many(report):
    def said(splits):
        changed = replace(report.provenance, splits=splits)
        return Page(html(replace(report, provenance=changed, thumbnails={}))).said

    many = {name: {"examples": 1000} for name in ("train", "test", "a", "b", "c")}
    assert "audited on train (1,000 examples), test (1,000 examples) and 3 shifts: of" in said(many)
    assert "audited: of the four questions" in said({})


def test_every_method_has_its_words():
    assert set(views.METHODS) == set(get_args(Method))
