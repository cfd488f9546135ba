"""What mkdocs is not given by hand: a page per measure and claim, and the command line.

A hook of mkdocs (see mkdocs.yml). The pages exist in memory only, so none can be out of date.
"""

import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer
import vl_convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from offmap.catalog import measures, scores
from offmap.cli import app
from offmap.figures import Figure
from offmap.inputs import VOCABULARY
from offmap.lab.claim import ROOMS
from offmap.lab.finding import Finding
from offmap.lab.keep import kept
from offmap.lab.page import effect, markdown, number
from offmap.measure import QUESTIONS, Measure, is_stochastic
from offmap.report import words
from offmap.report.charts import chart
from offmap.report.formula import plain
from offmap.report.grades import LINES
from offmap.report.html import VEGA_LITE
from offmap.score import Score

SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Note|Example|Examples):$")
RESULTS = Path(__file__).parent / "results" / "desk"
READ_ON = {
    "none": "once",
    "every": "test and every shift",
    "shifts": "every shift, against test",
}


# ------------------------------------------------------------------------------------- the hook


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the measures into the navigation, by question."""
    assert config.nav is not None
    for entry in config.nav:
        if isinstance(entry, dict) and "Measures" in entry:
            entry["Measures"] = ["measures/index.md", *_by_question()]
        if isinstance(entry, dict) and "What holds" in entry:
            entry["What holds"] = ["claims/index.md", *_by_room()]
    return config


def _by_question() -> list[dict[str, list[str]]]:
    return [
        {words.title(question): [f"measures/{unit.name}.md" for unit in units]}
        for question, units in _measures().items()
    ]


def _by_room() -> list[dict[str, list[str]]]:
    return [
        {title: [f"claims/{f.statement.name}.md" for f in findings() if f.statement.room == room]}
        for room, title in ROOMS.items()
    ]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    for found in findings():
        for place, figure in enumerate(_figures(found)):
            path = f"claims/{found.statement.name}-{place}.svg"
            files.append(File.generated(config, path, content=_svg(figure)))
    return files


def pages() -> dict[str, str]:
    """Every generated page, by its path."""
    made = {f"measures/{unit.name}.md": measure_page(unit) for unit in measures().values()}
    return {
        **made,
        "measures/index.md": index_page(),
        **{f"claims/{f.statement.name}.md": claim_page(f) for f in findings()},
        "claims/index.md": markdown(findings(), link="{}.md"),
        "scores.md": scores_page(),
        "commands.md": commands_page(),
    }


def _measures() -> dict[str, list[Measure]]:
    """The measures of each question, cheapest first."""
    return {
        question: sorted(
            (unit for unit in measures().values() if unit.question == question),
            key=lambda unit: (unit.cost, unit.name),
        )
        for question in QUESTIONS
    }


# --------------------------------------------------------------------------------- the measures


def index_page() -> str:
    """Every measure with its question, under the question of its folder."""
    parts = [
        "# Measures",
        "Each measure asks one question and answers it with a number, an interval, and what the "
        "number would be had there been nothing to find. Costs, cheapest first: `weights` (no "
        "pass), `forward` (one forward pass, shared by all), `backward` (about one backward pass), "
        "`many_passes`, `retrain` (trains fresh networks).",
    ]
    for question, units in _measures().items():
        rows = [
            (f"[{unit.name}]({unit.name}.md)", unit.asks, f"`{unit.cost.label}`") for unit in units
        ]
        parts += [
            f"## {words.title(question)}",
            f"*{QUESTIONS[question]}*",
            table(("measure", "asks", "cost"), rows),
        ]
    return "\n\n".join(parts) + "\n"


def measure_page(unit: Measure) -> str:
    """Everything that is known of a measure."""
    body, sections = parted(inspect.getdoc(unit.function) or "")
    low, high = unit.span
    facts = [
        ("question", f"{words.title(unit.question)}: {QUESTIONS[unit.question]}"),
        ("value", f"{unit.unit}, from {words.number(low)} to {words.number(high)}"),
        ("better", unit.better),
        ("read on", READ_ON[unit.reads_splits]),
        ("cost", f"`{unit.cost.label}`"),
        ("paper", f"[{unit.paper.citation}]({unit.paper.url})"),
    ]
    parts = [
        f"# {unit.name}",
        f"*{unit.asks}*",
        table(("", ""), facts),
        "## Definition",
        prose(body),
    ]
    if "Returns" in sections:
        parts.append(prose(sections["Returns"]))
    parts += ["## How to read it", unit.read, "## When it misleads", unit.caution]
    parts += ["## Next step", unit.next_step]
    if rules := _rules(unit):
        parts += ["## In the verdict", *rules]
    parts += ["## Settings", _settings(unit), "## Needs", _needs(unit)]
    if "Raises" in sections:
        reasons = [f"- {text}" for text in entries(sections["Raises"]).get("CannotMeasure", [])]
        if reasons:
            parts += ["## When it is skipped", prose("\n".join(reasons))]
    return "\n\n".join(parts) + "\n"


def _rules(unit: Measure) -> list[str]:
    """The lines of the verdict that read this measure."""
    found = []
    for line in (line for lines in LINES.values() for line in lines if line.measure == unit.name):
        percent = line.percent if line.part else words.in_percent(unit.card)
        tasks = f" ({', '.join(line.tasks)})" if line.tasks else ""
        says = line.says.replace("{split}", "the split")
        found.append(f"{says}{tasks}: {line.rule(percent and not line.relative)}.")
    return found


def _settings(unit: Measure) -> str:
    if not unit.settings:
        return "None."
    said = {
        name: text
        for function in (unit.inner, unit.function)
        if function is not None
        for name, (text, *_) in entries(
            parted(inspect.getdoc(function) or "")[1].get("Args", "")
        ).items()
    }
    rows = [(f"`{k}`", f"`{v!r}`", prose(said.get(k, ""))) for k, v in unit.settings.items()]
    name = next(iter(unit.settings))
    how = f'`--set {unit.name}.{name}=...`, or `settings={{"{unit.name}": {{"{name}": ...}}}}`.'
    return f"{table(('setting', 'default', 'meaning'), rows)}\n\n{how}"


def _needs(unit: Measure) -> str:
    own = [word for word in unit.needs if word not in ("per_example", "replicates")]
    rows = [(f"`{word}`", VOCABULARY[word].says) for word in own]
    functions = [unit.function, *([unit.inner] if unit.inner else [])]
    drawn = "\n\nIt draws random numbers, from the audit's seed." * any(
        map(is_stochastic, functions)
    )
    return table(("evidence", "what it is"), rows) + drawn


# ----------------------------------------------------------------------------------- the scores


def scores_page() -> str:
    """Every score of the guard on one page."""
    parts = [
        "# Scores",
        "A score says how strange an input looks to a network: larger is stranger. It learns from "
        "training data alone; calibration data turn it into a p-value. `offmap guard choose` tries "
        "all of them on your data. What they are worth on digits, MNIST and CIFAR-10 stands in "
        "[a table](guard_scores.md).",
    ]
    for unit in scores().values():
        parts += [f"## {unit.name}", f"*{unit.says}*", *_score(unit)]
    return "\n\n".join(parts) + "\n"


def _score(unit: Score) -> list[str]:
    body, sections = parted(inspect.getdoc(unit.function) or "")
    said = {
        name: text
        for function in (unit.fit, unit.function)
        for name, (text, *_) in entries(
            parted(inspect.getdoc(function) or "")[1].get("Args", "")
        ).items()
    }
    if "Returns" in sections:
        body += "\n\n" + sections["Returns"]
    rows = [(f"`{k}`", f"`{v!r}`", prose(said.get(k, ""))) for k, v in unit.settings.items()]
    reads = ", ".join(f"`{word}`" for word in unit.seen)
    facts = [("reads", reads), ("paper", f"[{unit.paper.citation}]({unit.paper.url})")]
    made = [prose(body), unit.caution, table(("", ""), facts)]
    return [*made, table(("setting", "default", "meaning"), rows)] if rows else made


# ----------------------------------------------------------------------------------- the claims


@cache
def findings() -> list[Finding]:
    """What the laboratory found at desk scale: the committed files."""
    return kept(RESULTS)


def claim_page(found: Finding) -> str:
    """A claim with what came of it."""
    said = found.statement
    facts = [
        ("verdict", f"**{'no verdict' if found.verdict == 'none' else found.verdict}**"),
        ("effect", f"{effect(found)}: {said.effect}"),
        ("line, fixed in advance", found.line),
        (
            "rather",
            f"[{words.title(said.corrected)}]({said.corrected}.md)" if said.corrected else "",
        ),
        ("published", said.published),
        ("seeds", ", ".join(done.said for done in found.trials)),
        ("parameters", ", ".join(f"`{n} = {v}`" for n, v in found.parameters.items())),
        ("time", words.duration(found.seconds)),
        ("paper", f"[{said.citation}]({said.url})"),
    ]
    parts = [
        f"# {words.title(said.name)}",
        f"*{said.says}*",
        table(("", ""), [f for f in facts if f[1]]),
    ]
    parts += [found.why] if found.why else []
    parts += [
        f"![{figure.title}]({said.name}-{place}.svg)"
        for place, figure in enumerate(_figures(found))
    ]
    parts += ["## Protocol", prose(said.protocol)]
    rows = [(words.title(name), number(part)) for name, part in found.parts.items()]
    if rows:
        parts += ["## Numbers", table(("", "mean [95 % interval] over seeds"), rows)]
    notes = [f"- {note}" for trial in found.finished[:1] for note in trial.notes]
    parts += ["\n".join(notes)] if notes else []
    made = ", ".join(f"{name} {text}" for name, text in found.provenance.items() if text)
    parts += ["## Made by", f"`offmap lab run {said.name} --scale {found.scale}`", made]
    return "\n\n".join(parts) + "\n"


def _figures(found: Finding) -> list[Figure]:
    """Those that are charts, of the first seed."""
    figures = [figure for trial in found.finished[:1] for figure in trial.figures]
    return [figure for figure in figures if chart(figure) is not None]


def _svg(figure: Figure) -> str:
    drawn = chart(figure)
    assert drawn is not None
    spec = {**drawn.standalone, "width": 560, "title": figure.title, "background": "white"}
    return vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)


# ------------------------------------------------------------------------------ the command line


def commands_page() -> str:
    """Every command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = ["# Command line", group.help]
    for name, command in _flat(group):
        said = inspect.cleandoc((command.help or "").partition("\f")[0])
        context = typer.Context(command)
        records = [option.get_help_record(context) for option in command.get_params(context)]
        rows = [
            (f"`{written.replace('|', ' or ')}`", " ".join(said_.split()))
            for written, said_ in filter(None, records)
        ]
        parts += [f"## offmap {name}", said, table(("", ""), rows)]
    return "\n\n".join(parts) + "\n"


def _flat(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its whole name, those of groups included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _flat(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


# ------------------------------------------------------------------------- docstrings as Markdown


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    cells = ([cell.replace("\n", " ").replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def parted(doc: str) -> tuple[str, dict[str, str]]:
    """A docstring in Google's style: what comes first, and its sections by name."""
    body, sections, current = [], {}, None
    for line in doc.split("\n"):
        if found := SECTION.match(line):
            current = sections.setdefault(found[1], [])
        else:
            (body if current is None else current).append(line)
    return "\n".join(body), {k: inspect.cleandoc("\n".join(v)) for k, v in sections.items()}


def entries(section: str) -> dict[str, list[str]]:
    """`name: text` entries, a text over several lines in one; a name may come twice."""
    found: dict[str, list[str]] = {}
    for text in re.split(r"\n(?=\S)", section):
        name, _, said = text.partition(":")
        found.setdefault(name.strip(), []).append(" ".join(said.split()))
    return found


def prose(text: str) -> str:
    """Docstrings' reStructuredText as Markdown; mathematics as plain characters."""
    text = re.sub(
        r"^\.\. math::[ ]*(.*(?:\n[ \t]+.*)*)",
        lambda found: f"```text\n{plain(' '.join(found[1].split()))}\n```",
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(r":math:`([^`]+)`", lambda found: f"`{plain(found[1])}`", text)
    return re.sub(r"(?<![<(\"])(https?://[^\s)>]+)", r"<\1>", text).strip()
