"""Charts: drawn by Vega from the specification, and counted in the picture."""

import json
import re
from math import nan

import pytest
import torch
import vl_convert

from offmap.estimate import exact
from offmap.figures import Bars, Curve, Histogram, Matrix, Scatter
from offmap.report.charts import COLORS, Chart, chart, spread
from offmap.report.detail import Detail, level, size
from offmap.report.html import VEGA_LITE

KINDS = ("curve", "log", "histogram", "scatter", "bars", "matrix")


def drawn(made: Chart) -> str:
    """The picture as SVG."""
    spec = {**made.standalone, "width": 500}
    return vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)


def marks(svg, kind):
    """How many marks of a kind carry data: legends, grids and axes are guides."""
    return len(re.findall(rf'aria-roledescription="{kind}"', svg))


@pytest.fixture(scope="module")
def figures(build):
    return build.figures(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_valid_and_drawn(figures, kind):
    made = chart(figures[kind])
    svg = drawn(made)
    assert "</script>" not in svg.replace("&lt;/script&gt;", "")
    assert "NaN" not in svg
    json.dumps(made.standalone, allow_nan=False)
    assert {len(column) for column in made.table.values()} == {len(made.table["y"])}


def test_a_gallery_is_no_chart(figures):
    assert chart(figures["gallery"]) is None


def test_every_bar_has_a_point_and_an_interval(figures):
    svg = drawn(chart(figures["bars"]))
    assert marks(svg, "point") == 4 and marks(svg, "rule mark") == 4


def test_bars_over_many_magnitudes(build):
    values = {"low": build.estimate(0.02, 0.0, 0.03), "high": build.estimate(600.0, 500.0, 700.0)}
    made = chart(Bars("Sandwich", "slope", values, log_y=True))
    assert made and made.table["l"] == [None, 500]  # no logarithm of 0
    svg = drawn(made)
    assert ">0.1<" in svg and ">100<" in svg and marks(svg, "point") == 2
    assert ">100<" not in drawn(chart(Bars("Sandwich", "slope", {"low": values["low"]})))


def test_every_cell_is_there_with_its_number(figures):
    svg = drawn(chart(figures["matrix"]))
    assert marks(svg, "rect mark") == 16 and marks(svg, "text mark") == 16


def test_a_curve_is_thinned_to_its_ends(figures):
    figure = figures["curve"]
    made = chart(figure)
    assert made.left_out == "400 of 3,000 points are drawn"
    assert len(made.table["x"]) == 800
    assert made.table["x"][0] == 0 and made.table["x"][399] == 1
    for x, y in zip(made.table["x"][:400], made.table["y"][:400], strict=True):
        place = round(x * 2999)
        assert y == pytest.approx(figure.series["test"][place].item(), rel=1e-3)
    assert chart(figure).table == made.table  # the same every time


def test_series_are_told_apart_by_more_than_color(figures):
    for kind in ("curve", "histogram"):
        assert '"strokeDash"' in json.dumps(chart(figures[kind]).spec)
    assert '"shape"' in json.dumps(chart(figures["scatter"]).spec)
    assert COLORS[0] == "#0072B2"  # Okabe and Ito's blue


def test_a_scatter_is_bounded_and_its_rare_labels_are_others():
    n = 10_000
    labels = tuple(f"class {i % 3 if i % 100 else i}" for i in range(n))
    figure = Scatter("s", "x", "y", torch.arange(float(n)), torch.arange(float(n)), labels)
    made = chart(figure)
    assert len(made.table["x"]) == 1500 and made.table["x"][-1] == n - 1
    assert set(made.table["s"]) == {"class 0", "class 1", "class 2", "others"} | (
        set(made.table["s"]) - {"class 0", "class 1", "class 2", "others"}
    )
    assert len(set(made.table["s"])) <= len(COLORS) and "others" in made.table["s"]


def test_log_axes_leave_out_what_has_no_place(figures):
    made = chart(figures["log"])
    assert 0 not in made.table["x"]  # rank 0 has no logarithm
    assert json.dumps(made.spec).count('"type": "log"') >= 4  # x and y of lines and points
    assert marks(drawn(made), "point") == 59


def test_numbers_that_are_none_are_gaps():
    y = torch.tensor([1.0, nan, 3.0, float("inf"), 5.0])
    made = chart(Curve("c", "x", "y", torch.arange(5.0), {"": y}))
    assert made.table["y"] == [1, None, 3, None, 5]
    assert "NaN" not in drawn(made)
    signed = {"": torch.tensor([1.0, 0.0, -3.0, 4.0, 5.0])}
    made = chart(Curve("c", "x", "y", torch.arange(5.0), signed, log_y=True))
    assert made.table["y"] == [1, None, None, 4, 5]  # no logarithm, no place


def test_a_histogram_has_a_step_for_each_bin(figures):
    made = chart(figures["histogram"])
    assert made.table["x"][:3] == [0, 0.16667, 0.33333]
    assert made.table["z"][:2] == [0.16667, 0.33333]
    assert marks(drawn(made), "rect mark") >= 48
    counts = torch.tensor([0.25, 0.75])
    shares = chart(Histogram("h", "x", torch.tensor([0.0, 1.0, 2.0]), {"": counts}))
    assert '"share"' in json.dumps(shares.spec)


@pytest.mark.parametrize(
    "figure",
    [
        Curve("c", "", "", torch.zeros(0), {"": torch.zeros(0)}),
        Curve("c", "x", "y", torch.ones(1), *({"": torch.ones(1)} for _ in range(3))),
        Scatter("s", "x", "y", torch.zeros(0), torch.zeros(0)),
        Bars("b", "y", {}),
        Bars("b", "y", {"one": exact(0.0)}),
        Matrix("m", "x", "y", ("a",), ("b",), torch.full((1, 1), nan)),
        Histogram("h", "x", torch.tensor([0.0, 1.0]), {"": torch.zeros(1)}),
    ],
    ids=lambda figure: type(figure).__name__,
)  # fmt: skip
def test_next_to_nothing_can_be_drawn(figure):
    assert drawn(chart(figure)).startswith("<svg")


def test_large_figures_are_bounded():
    names = tuple(f"layer.{k}" for k in range(200))
    made = chart(Bars("b", "y", dict.fromkeys(names, exact(1.0))))
    assert len(made.table["y"]) == 40 and made.left_out == "40 of 200 rows are drawn"
    made = chart(Matrix("m", "x", "y", names, names, torch.rand(200, 200)))
    assert len(made.table["y"]) == 900 and made.left_out == "900 of 40,000 cells are drawn"
    series = {name: torch.rand(50) for name in names}
    made = chart(Curve("c", "x", "y", torch.arange(50.0), series), Detail(curve=30))
    assert len(set(made.table["s"])) == 10 and len(made.table["y"]) == 10 * 20


def test_spread_keeps_both_ends():
    for length, most in ((10, 10), (11, 10), (1000, 7)):
        kept = spread(length, most)
        assert len(kept) == min(length, most) == len(kept.unique())
        assert kept[0] == 0 and kept[-1] == length - 1


def test_table_holds_no_more_digits_than_a_screen(figures):
    made = chart(figures["scatter"])
    kept = spread(4000, 1500)
    for shown, value in zip(made.table["x"], figures["scatter"].x[kept].tolist(), strict=True):
        assert shown == float(f"{value:.5g}")


def test_small_charts_leave_room_to_large_ones():
    assert level([10, 10, 10], 90) == 10  # all in full
    assert level([10, 100, 100], 90) == 40  # what the small one leaves, in equal parts
    assert level([100] * 4, 100) == 25
    assert level([], 100) == 0
    for sizes, room in (([3, 50, 7, 90, 90], 120), ([5] * 9, 20), ([1000], 10)):
        most = level(sizes, room)
        assert room - len(sizes) < sum(min(one, most) for one in sizes) <= room


def test_the_size_of_a_chart_is_foreseen(build):
    for figure in build.figures(torch.Generator().manual_seed(0)).values():
        made = chart(figure)
        if made is not None:
            text = len(json.dumps({"spec": made.spec, "table": made.table}))
            assert 0.3 < text / size(figure) < 3
