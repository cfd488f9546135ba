"""Figures as Vega-Lite charts, made by Altair. Colors are those of Okabe and Ito.

A chart is a specification and a table; the table is kept apart, column by column, because that is
a third of the bytes. Altair takes a second to import: only rendering imports this file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import altair as alt
import torch
from torch import Tensor

from offmap.figures import Bars, Curve, Figure, Gallery, Histogram, Matrix, Scatter
from offmap.report import words
from offmap.report.detail import Detail

COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F",
    "#882255", "#999933", "#6A51A3",
)  # fmt: skip
WRONG, ALARM = "wrong", "#E8112D"  # mistakes have a color of their own
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [4, 4], [1, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
HEIGHT = 220
OTHER = "others"


@dataclass(frozen=True, slots=True)
class Chart:
    """A Vega-Lite specification whose data is the table, and what it leaves out in words."""

    spec: Mapping[str, Any]
    table: Mapping[str, list[Any]]
    left_out: str = ""

    @property
    def standalone(self) -> dict[str, Any]:
        """The specification with its data inside, for any tool that reads Vega-Lite."""
        columns = zip(*self.table.values(), strict=True)
        rows = [dict(zip(self.table, row, strict=True)) for row in columns]
        return {**self.spec, "$schema": alt.SCHEMA_URL, "data": {"values": rows}}


def chart(figure: Figure, detail: Detail | None = None) -> Chart | None:
    """The chart of a figure; None for a gallery, which is pictures and not a chart."""
    detail = detail or Detail()
    match figure:
        case Curve():
            return _curve(figure, detail)
        case Histogram():
            return _histogram(figure)
        case Scatter():
            return _scatter(figure, detail)
        case Bars():
            return _bars(figure, detail)
        case Matrix():
            return _matrix(figure, detail)
        case Gallery():
            return None


# --------------------------------------------------------------------------------- the figures


def _curve(figure: Curve, detail: Detail) -> Chart:
    names = _kept(list(figure.series))
    per_series = max(20, detail.curve // max(1, len(names) // 2))
    kept = spread(len(figure.x), per_series)
    table = _curve_table(figure, names, kept)

    grid_x, grid_y = (alt.Axis(grid=not log) for log in (figure.log_x, figure.log_y))
    horizontal = alt.X("x:Q", title=figure.x_label, scale=_scale(figure.log_x), axis=grid_x)
    vertical = alt.Y("y:Q", title=figure.y_label, scale=_scale(figure.log_y), axis=grid_y)
    color, dash = _color(names), _dash(names)
    near = alt.selection_point(
        name="near", on="pointerover", nearest=True, empty=False, clear="pointerout"
    )
    tooltip = [*_named(names), _number("x", figure.x_label), _number("y", figure.y_label)]
    if figure.low or figure.high:
        tooltip += [_number("l", "from"), _number("h", "to")]
    lines = alt.Chart().mark_line(strokeWidth=2, clip=True)
    points = alt.Chart().mark_point(filled=True, size=45)
    seen = 0.9 if len(kept) <= 25 else 0.0
    layers = [
        lines.encode(x=horizontal, y=vertical, color=color, strokeDash=dash),
        points.encode(
            x=horizontal, y=vertical, color=color, tooltip=tooltip,
            opacity=alt.when(near).then(alt.value(1.0)).otherwise(alt.value(seen)),
        ).add_params(near),
    ]  # fmt: skip
    if figure.low and figure.high:
        lower = alt.Y("l:Q", title=figure.y_label, scale=_scale(figure.log_y), axis=grid_y)
        band = alt.Chart().mark_area(opacity=0.16)
        layers.insert(0, band.encode(x=horizontal, y=lower, y2="h:Q", color=color))
    left_out = _left_out(len(kept), len(figure.x), "points") or _left_out(
        len(names), len(figure.series), "curves"
    )
    return _made(alt.layer(*layers), table, left_out)


def _curve_table(figure: Curve, names: list[str], kept: Tensor) -> dict[str, list[Any]]:
    """Points of the series, one below the other, with the ends of their bands."""
    x = figure.x[kept].double().tolist()
    table: dict[str, list[Any]] = {"x": [], "y": [], "s": [], "l": [], "h": []}
    for name in names:
        table["x"] += [_rounded(v) for v in x]
        table["s"] += [name] * len(x)
        for key, source in (("y", figure.series), ("l", figure.low), ("h", figure.high)):
            column = source[name][kept].double().tolist() if name in source else [None] * len(x)
            table[key] += [_rounded(v, log=figure.log_y) for v in column]
    usable = [not figure.log_x or (value or 0) > 0 for value in table["x"]]
    return {key: [v for v, use in zip(c, usable, strict=True) if use] for key, c in table.items()}


def _histogram(figure: Histogram) -> Chart:
    names = _kept(list(figure.counts))
    edges = [_rounded(value) for value in figure.edges.double().tolist()]
    table: dict[str, list[Any]] = {"x": [], "z": [], "y": [], "s": []}
    for name in names:
        counts = [_rounded(value) for value in figure.counts[name].double().tolist()]
        table["x"] += edges  # the last edge closes the last step
        table["z"] += [*edges[1:], edges[-1]]
        table["y"] += [*counts, counts[-1]]
        table["s"] += [name] * len(edges)
    total = sum(float(count.double().sum()) for count in figure.counts.values())
    label = "share" if total <= 1.01 * len(figure.counts) else "count"
    horizontal = alt.X("x:Q", title=figure.x_label, scale=alt.Scale(zero=False, nice=False))
    vertical = alt.Y("y:Q", title=label, stack=None)
    tooltip = [*_named(names), _number("x", "from"), _number("z", "to"), _number("y", label)]
    steps: dict[str, Any] = {"x": horizontal, "y": vertical, "color": _color(names)}
    base = alt.Chart()
    layers = alt.layer(
        base.mark_area(interpolate="step-after", opacity=0.22).encode(**steps),
        base.mark_line(interpolate="step-after", strokeWidth=1.6).encode(
            **steps, strokeDash=_dash(names)
        ),
        base.mark_rect(opacity=0.0).encode(x=horizontal, x2="z:Q", y=vertical, tooltip=tooltip),
    )
    return _made(layers, table, _left_out(len(names), len(figure.counts), "distributions"))


def _scatter(figure: Scatter, detail: Detail) -> Chart:
    kept = spread(len(figure.x), detail.scatter)
    labels = [figure.label[i] for i in kept.tolist()] if figure.label else [""] * len(kept)
    labels = _grouped(labels)
    table = {
        "x": [_rounded(value) for value in figure.x[kept].double().tolist()],
        "y": [_rounded(value) for value in figure.y[kept].double().tolist()],
        "s": labels,
    }
    names = list(dict.fromkeys(labels))
    if all(name.isdecimal() for name in names):
        names.sort(key=int)
    shapes = alt.Scale(domain=names, range=_cycled(SHAPES, names))
    points = (
        alt.Chart()
        .mark_point(filled=True, size=28, opacity=0.55)
        .encode(
            x=alt.X("x:Q", title=figure.x_label, scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", title=figure.y_label, scale=alt.Scale(zero=False)),
            color=_color(names),
            shape=alt.Shape("s:N", scale=shapes, legend=_legend(names)),
            tooltip=[*_named(names), _number("x", figure.x_label), _number("y", figure.y_label)],
        )
    )
    return _made(points, table, _left_out(len(kept), len(figure.x), "points"))


def _bars(figure: Bars, detail: Detail) -> Chart:
    names = list(figure.values)[: detail.bars]
    values = [figure.values[name] for name in names]
    table = {
        "s": names,
        **{
            key: [_rounded(getattr(estimate, end), log=figure.log_y) for estimate in values]
            for key, end in (("y", "value"), ("l", "low"), ("h", "high"))
        },
    }
    name = alt.Y("s:N", title=None, sort=names, axis=alt.Axis(labelLimit=210, grid=False))
    scale = _scale(True) if figure.log_y else alt.Scale(zero=_near_zero(table))
    place = alt.X("y:Q", title=figure.y_label, scale=scale)
    tooltip = [
        alt.Tooltip("s:N", title="name"), _number("y", figure.y_label),
        _number("l", "from"), _number("h", "to"),
    ]  # fmt: skip
    base = alt.Chart().encode(y=name, tooltip=tooltip)
    layers = alt.layer(
        base.mark_rule(strokeWidth=3, opacity=0.45, color=COLORS[0], strokeCap="round").encode(
            x=alt.X("l:Q", title=figure.y_label, scale=scale), x2="h:Q"
        ),
        base.mark_point(filled=True, size=60, opacity=1, color=COLORS[0]).encode(x=place),
    )
    left_out = _left_out(len(names), len(figure.values), "rows")
    return _made(layers, table, left_out, height=24 * len(names) + 6)


def _matrix(figure: Matrix, detail: Detail) -> Chart:
    rows, columns = figure.rows[: detail.side], figure.columns[: detail.side]
    cells = figure.values[: len(rows), : len(columns)].double()
    table: dict[str, list[Any]] = {
        "r": [row for row in rows for _ in columns],
        "c": [column for _ in rows for column in columns],
        "y": [_rounded(value) for value in cells.flatten().tolist()],
    }
    finite = [value for value in table["y"] if value is not None] or [0.0]
    low, high = min(finite), max(finite)
    signed = low < 0 < high
    reach = max(-low, high)
    scale = (
        alt.Scale(scheme="purpleorange", domain=[-reach, reach])
        if signed
        else alt.Scale(scheme="cividis", domain=[low, high if high > low else low + 1])
    )
    column_axis = alt.Axis(labelAngle=0 if _short(columns) else -40, labelLimit=110)
    base = alt.Chart().encode(
        x=alt.X("c:N", title=figure.x_label, sort=list(columns), axis=column_axis),
        y=alt.Y("r:N", title=figure.y_label, sort=list(rows), axis=alt.Axis(labelLimit=110)),
        tooltip=[
            alt.Tooltip("r:N", title=figure.y_label or "row"),
            alt.Tooltip("c:N", title=figure.x_label or "column"),
            _number("y", "value"),
        ],
    )
    bar = alt.Legend(title=None, gradientThickness=10, gradientLength=140, orient="bottom")
    layers = [base.mark_rect().encode(color=alt.Color("y:Q", scale=scale, legend=bar))]
    if len(columns) <= 10 and len(rows) <= 20:
        dark = f"abs(datum.y) > {0.6 * reach}" if signed else f"datum.y < {(low + high) / 2}"
        ink = alt.when(dark).then(alt.value("white")).otherwise(alt.value("black"))
        layers.append(
            base.mark_text(fontSize=11).encode(text=alt.Text("y:Q", format=".2~g"), color=ink)
        )
    left_out = _left_out(len(table["y"]), len(figure.rows) * len(figure.columns), "cells")
    height = (26 if len(rows) <= 12 else 16) * len(rows)
    return _made(alt.layer(*layers), table, left_out, height=height)


# ---------------------------------------------------------------------------------- the pieces


def _made(
    drawing: alt.Chart | alt.LayerChart | alt.FacetChart,  # the last is never given: Altair's types
    table: dict[str, list[Any]],
    left_out: str,
    *,
    height: int = HEIGHT,
) -> Chart:
    sized = drawing.properties(
        width="container",
        height=height,
        data=alt.NamedData("table"),
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    spec = sized.to_dict(validate=False)  # the tests hold every kind against the schema
    for key in ("$schema", "config"):  # once for the page, not once for each chart
        spec.pop(key, None)
    return Chart(_printable(spec), _printable(table), left_out)


def _printable(value: Any) -> Any:
    """Plain data with its strings free of control characters, which end an SVG parser."""
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return words.printable(value) if isinstance(value, str) else value


def spread(length: int, most: int) -> Tensor:
    """At most `most` positions of `length`, evenly spread, both ends among them."""
    if length <= most:
        return torch.arange(length)
    return torch.linspace(0, length - 1, most, dtype=torch.double).round().long()


def _rounded(value: float | None, log: bool = False) -> float | int | None:
    """Five significant digits, more than a screen shows; null for what is not on the axis."""
    if value is None or not isfinite(value) or (log and value <= 0):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.5g}")


def _scale(log: bool) -> alt.Scale:
    return alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False)


def _near_zero(table: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the axis should reach to 0: where the numbers come near it anyway."""
    low, high = min(table["l"], default=0), max(table["h"], default=0)
    return low >= 0 and low <= 0.5 * high


def _kept(names: list[str]) -> list[str]:
    """As many series as there are colors."""
    return names[: len(COLORS)]


def _grouped(labels: list[str]) -> list[str]:
    """The most frequent labels, as many as there are colors; the rest are `others`."""
    counts: dict[str, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    if len(counts) <= len(COLORS):
        return labels
    frequent = set(sorted(counts, key=lambda label: (-counts[label], label))[: len(COLORS) - 1])
    return [label if label in frequent else OTHER for label in labels]


def _short(names: Sequence[str]) -> bool:
    return sum(len(name) + 1 for name in names) <= 36


def _cycled(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    return [values[place % len(values)] for place in range(len(names))]


def _legend(names: Sequence[str]) -> alt.Legend | None:
    """No legend for a single series."""
    if len(names) < 2:
        return None
    return alt.Legend(
        title=None, orient="top", columns=3, labelLimit=170, symbolStrokeWidth=2, symbolOpacity=1
    )


def _color(names: Sequence[str]) -> alt.Color:
    colors = [
        ALARM if name == WRONG else color
        for name, color in zip(names, _cycled(COLORS, names), strict=True)
    ]
    scale = alt.Scale(domain=list(names), range=colors)
    return alt.Color("s:N", scale=scale, legend=_legend(names))


def _dash(names: Sequence[str]) -> alt.StrokeDash:
    scale = alt.Scale(domain=list(names), range=_cycled(DASHES, names))
    return alt.StrokeDash("s:N", scale=scale, legend=_legend(names))


def _named(names: Sequence[str]) -> list[alt.Tooltip]:
    return [alt.Tooltip("s:N", title="series")] if any(names) else []


def _number(column: str, label: str) -> alt.Tooltip:
    return alt.Tooltip(f"{column}:Q", title=label or column, format=".4~g")


def _left_out(shown: int, total: int, what: str) -> str:
    return f"{shown:,} of {total:,} {what} are drawn" if shown < total else ""
