"""report.html: one file that opens offline, under 3 MB whatever the size of the data."""

import json
from collections.abc import Iterable
from functools import cache, partial
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from offmap.report import views, words
from offmap.report.charts import Detail, chart
from offmap.report.report import Report

LIMIT = 3_000_000  # bytes of the page
VEGA_LITE = "6.4"  # of Altair's schema, among those that vl-convert brings
# Tried in this order until the page fits: what is drawn, and rows of a table of parts.
DETAILS = (
    (Detail(), 40),
    (Detail(curve=120, scatter=400, bars=25, side=15), 20),
    (Detail(curve=40, scatter=100, bars=12, side=8), 8),
    (None, 8),
    (None, 0),
)


def html(report: Report) -> str:
    """The whole page, scripts and data inside."""
    text = ""
    for detail, parts in DETAILS:
        text = _page(report, detail, parts)
        if len(text.encode("utf-8", "replace")) < LIMIT:
            break
    return text.encode("utf-8", "replace").decode()  # a stray surrogate cannot be written


def notebook(report: Report) -> str:
    """The page in a frame, for a notebook's output cell."""
    title = Markup.escape(f"offmap report of {report.provenance.name}")
    return (
        f'<iframe title="{title}" srcdoc="{Markup.escape(html(report))}" width="100%" height="720" '
        'style="border:1px solid #8884;border-radius:8px" sandbox="allow-scripts"></iframe>'
    )


def _page(report: Report, detail: Detail | None, parts: int) -> str:
    draw = partial(chart, detail=detail) if detail else lambda figure: None
    context, charts = views.page(report, draw, parts)
    return _environment().get_template("page.html").render(
        **context,
        words=words,
        charts=_as_script([{"spec": c.spec, "table": c.table} for c in charts]),
        library=_library() if charts else "",
        without_charts=detail is None,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("offmap.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = words.duration
    environment.filters["bytes"] = words.size
    environment.filters["human"] = words.title
    environment.filters["plain"] = views.plain
    environment.filters["shortened"] = words.shortened
    environment.tests["safe_link"] = lambda url: url.startswith("https://")
    return environment


@cache
def _library() -> Markup:
    """Vega, Vega-Lite and Vega-Embed in one script that cannot end early."""
    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
    return Markup(bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _as_script(values: Iterable[Any]) -> Markup:
    """JSON that is safe inside a script element, whatever strings it holds."""
    text = json.dumps(list(values), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
