"""`offmap lab show`: the card of a claim."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offmap.lab.claim import Claim, Scale


def show(name: Annotated[str, typer.Argument(help="A claim; `offmap lab list` has them.")]) -> None:
    """Say what a claim states, how it is tried, and what decides."""
    from rich.console import Console

    from offmap.catalog import named
    from offmap.lab.claim import claims

    unit = named(name, claims(), "claim")
    Console().print(card(unit), markup=False, highlight=False)


def card(unit: "Claim") -> str:
    """Everything that is known of a claim, as text."""
    from offmap.lab.claim import SCALES, claims
    from offmap.lab.finding import line

    said = unit.statement
    right = claims().get(unit.corrected)
    sections = {
        "Says": said.says,
        "Rather": "" if right is None else f"{right.says} ({right.name})",
        "Effect": said.effect,
        "Line, fixed in advance": line(said),
        "Protocol": said.protocol,
        "Published": said.published,
        "Scales": "\n".join(_scale(unit, scale) for scale in SCALES),
        "Needs": ", ".join(unit.modules),
        "Paper": f"{said.citation}\n{said.url}",
    }
    return f"{unit.name} (claim)\n\n" + "\n\n".join(
        f"{title}:\n  " + text.replace("\n", "\n  ") for title, text in sections.items() if text
    )


def _scale(unit: "Claim", scale: "Scale") -> str:
    """One scale in a line: parameters, time, data."""
    from offmap.report.words import duration

    given = ", ".join(f"{name}={value}" for name, value in unit.scales[scale].items())
    reads = unit.data.get(scale, ())
    facts = [f"about {duration(unit.seconds[scale])} a seed"]
    facts += [f"reads {', '.join(reads)}"] if reads else []
    return f"{scale}: {given or 'no parameters'} ({'; '.join(facts)})"
