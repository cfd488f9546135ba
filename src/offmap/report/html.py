"""report.html: one file that opens offline, under 3 MB whatever the size of the data."""

from functools import cache, partial

import vl_convert
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from offmap.report import views, words
from offmap.report.charts import chart
from offmap.report.detail import Detail, level, size
from offmap.report.report import Report
from offmap.report.views import FILLS, Charts, Fill
from offmap.report.why import shown

LIMIT = 3_000_000  # bytes of the page
SPARE = 40_000  # of them, for what is counted only roughly
VEGA_LITE = "6.4"  # of Altair's schema, among those that vl-convert brings


def html(report: Report) -> str:
    """The whole page, scripts and data inside.

    Texts first: the most generous fill that leaves room. Charts share what is left.
    """
    room = 0
    fill = FILLS[-1]
    for fill in FILLS:
        room = LIMIT - SPARE - len(_bytes(_page(report, fill, Charts(chart, 0))))
        if room >= fill.charts:
            break
    figures = [f for entry in report.entries if entry.reading for f in entry.reading.figures]
    detail = Detail.within(level([size(figure) for figure in figures], room))
    return _bytes(_page(report, fill, Charts(partial(chart, detail=detail), room))).decode()


def _bytes(text: str) -> bytes:
    """As it is written; a stray surrogate becomes a question mark."""
    return text.encode("utf-8", "replace")


def notebook(report: Report) -> str:
    """The page in a frame, for a notebook's output cell."""
    title = Markup.escape(f"offmap report of {report.provenance.name}")
    return (
        f'<iframe title="{title}" srcdoc="{Markup.escape(html(report))}" width="100%" height="720" '
        'style="border:1px solid #8884;border-radius:8px" sandbox="allow-scripts"></iframe>'
    )


def _page(report: Report, fill: Fill, charts: Charts) -> str:
    """The page with so much text, and with the charts that there is room for."""
    context = views.page(report, fill, charts)
    why = shown(context["readings"], context["galleries"])
    taken = {gallery["anchor"] for one in why for gallery in one.galleries}
    return (
        environment()
        .get_template("page.html")
        .render(
            **context,
            exhibits=why,
            examples=[one for one in context["galleries"] if one["anchor"] not in taken],
            words=words,
            fill=fill,
            charts=Markup(f"[{','.join(charts.made)}]"),
            charts_left_out=charts.left_out,
            library=library(),
        )
    )


@cache
def environment(*packages: str) -> Environment:
    """What fills the templates of the report, and of these packages."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "offmap.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["duration"] = words.duration
    made.filters["bytes"] = words.size
    made.filters["human"] = words.title
    made.filters["plain"] = views.plain
    made.filters["shortened"] = words.shortened
    made.tests["safe_link"] = lambda url: url.startswith("https://")
    return made


@cache
def library() -> Markup:
    """Vega, Vega-Lite and Vega-Embed in one script that cannot end early."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    return Markup(bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--"))
