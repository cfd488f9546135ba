"""`offmap explain`: the card of a measure, or of a score."""

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offmap.measure import Measure
    from offmap.score import Score


def explain(
    name: Annotated[
        str | None, typer.Argument(help="A measure or a score; all are listed without it.")
    ] = None,
) -> None:
    """Say what a measure or a score is about, how to read it, and when it misleads."""
    from rich.console import Console

    from offmap.catalog import measures, named, scores
    from offmap.measure import QUESTIONS

    console = Console()
    known = measures()
    if name is not None:
        named(name, {**known, **scores()}, "measure or score")
        cards = [card(known[name])] if name in known else []
        cards += [score_card(scores()[name])] if name in scores() else []
        console.print("\n\n".join(cards), markup=False, highlight=False)
        return
    for question, asks in QUESTIONS.items():
        console.print(f"{question}: {asks}", style="bold", highlight=False)
        for unit in known.values():
            if unit.question == question:
                console.print(f"  {unit.name:<26} {unit.asks}", highlight=False)
    console.print("scores of the guard: How strange is an input?", style="bold", highlight=False)
    for unit in scores().values():
        console.print(f"  {unit.name:<26} {unit.says}", highlight=False)


def score_card(unit: "Score") -> str:
    """Everything that is known of a score, as text."""
    return f"{unit.name} (score)\n\n" + _sections({
        "Says": unit.says,
        "Definition": inspect.cleandoc(unit.function.__doc__ or ""),
        "When it misleads": unit.caution,
        "Settings": _settings(unit.settings),
        "Reads": ", ".join(unit.seen),
        "Paper": f"{unit.paper.citation}\n{unit.paper.url}",
    })  # fmt: skip


def card(unit: "Measure") -> str:
    """Everything that is known of a measure, as text."""
    from offmap.inputs import VOCABULARY

    low, high = unit.span
    needs = "\n".join(f"  {word}: {VOCABULARY[word].says}" for word in unit.needs)
    sections = {
        "Asks": unit.asks,
        "Definition": inspect.cleandoc(unit.function.__doc__ or ""),
        "Value": f"{unit.unit}, from {low:g} to {high:g}; better: {unit.better}",
        "How to read it": unit.read,
        "When it misleads": unit.caution,
        "Next step": unit.next_step,
        "Settings": _settings(unit.settings),
        "Needs": needs,
        "Cost": unit.cost.label,
        "Paper": f"{unit.paper.citation}\n{unit.paper.url}",
    }
    return f"{unit.name} ({unit.question})\n\n{_sections(sections)}"


def _sections(texts: "Mapping[str, str]") -> str:
    return "\n\n".join(f"{title}\n{_indented(text)}" for title, text in texts.items())


def _settings(settings: "Mapping[str, object]") -> str:
    return "\n".join(f"  {key} = {value!r}" for key, value in settings.items()) or "  none"


def _indented(text: str) -> str:
    return "\n".join(line if line.startswith("  ") else f"  {line}" for line in text.split("\n"))
