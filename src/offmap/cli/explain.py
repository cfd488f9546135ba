"""`offmap explain`: a measure's card."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offmap.measure import Measure


def explain(
    name: Annotated[
        str | None, typer.Argument(help="A measure; all are listed without it.")
    ] = None,
) -> None:
    """Say what a measure asks, how to read it, when it misleads, and what to do next."""
    from rich.console import Console

    from offmap.catalog import measures, named
    from offmap.measure import QUESTIONS

    console = Console()
    known = measures()
    if name is not None:
        console.print(card(named(name, known, "measure")), markup=False, highlight=False)
        return
    for question, asks in QUESTIONS.items():
        console.print(f"{question}: {asks}", style="bold", highlight=False)
        for unit in known.values():
            if unit.question == question:
                console.print(f"  {unit.name:<26} {unit.asks}", highlight=False)


def card(unit: "Measure") -> str:
    """Everything that is known of a measure, as text."""
    import inspect

    from offmap.inputs import VOCABULARY

    low, high = unit.span
    settings = "\n".join(f"  {key} = {value!r}" for key, value in unit.settings.items())
    needs = "\n".join(f"  {word}: {VOCABULARY[word].says}" for word in unit.needs)
    sections = {
        "Asks": unit.asks,
        "Definition": inspect.cleandoc(unit.function.__doc__ or ""),
        "Value": f"{unit.unit}, from {low:g} to {high:g}; better: {unit.better}",
        "How to read it": unit.read,
        "When it misleads": unit.caution,
        "Next step": unit.next_step,
        "Settings": settings or "  none",
        "Needs": needs,
        "Cost": unit.cost.label,
        "Paper": f"{unit.paper.citation}\n{unit.paper.url}",
    }
    body = "\n\n".join(f"{title}\n{_indented(text)}" for title, text in sections.items())
    return f"{unit.name} ({unit.question})\n\n{body}"


def _indented(text: str) -> str:
    return "\n".join(line if line.startswith("  ") else f"  {line}" for line in text.split("\n"))
