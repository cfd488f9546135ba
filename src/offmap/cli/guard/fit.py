"""`offmap guard fit`: learn what is familiar, set the thresholds, check both, write the file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.attempt import InputError, readable
from offmap.cli import options
from offmap.cli.guard import common

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.table import Table

    from offmap.guard.choice import Choice
    from offmap.guard.coverage import Covered
    from offmap.guard.guard import Guard
    from offmap.numerics.selective import GroupCounts
    from offmap.run import Split

DEFAULT = "feature_neighbors"


def fit(
    run_file: options.RunFile = None,
    demo: options.Demo = None,
    model: options.Model = None,
    weights: options.Weights = None,
    train: options.Train = None,
    test: options.Test = None,
    calibration: common.Calibration = None,
    outlier: common.Outlier = [],  # noqa: B006 - typer copies it
    inputs: options.Inputs = None,
    targets: options.Targets = None,
    groups: options.Groups = None,
    task: options.TaskName = None,
    feature_layer: options.FeatureLayer = None,
    allow_pickle: options.AllowPickle = False,
    parameter: options.Parameter = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Where the guard goes.")] = Path("guard.safetensors"),
    card: Annotated[Path | None, typer.Option(help="Write its card as Markdown.")] = None,
    score: common.Score = [],  # noqa: B006
    choice: Annotated[
        Path | None, typer.Option(help="What `offmap guard choose --out` wrote.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="False-alarm rate on familiar inputs.")] = 0.05,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Keep that rate for each predicted class.")
    ] = False,
    confidence: Annotated[
        float | None,
        typer.Option(help="Keep it for this calibration set with that certainty, such as 0.95."),
    ] = None,
    risk: Annotated[
        float | None, typer.Option(help="Hold the error of accepted answers below this.")
    ] = None,
    disputed: Annotated[
        float | None,
        typer.Option(help="Refuse what the nearest examples dispute, at this false-alarm rate."),
    ] = None,
    set_: common.Set = [],  # noqa: B006
    neighbors: Annotated[int, typer.Option(help="Training examples that an answer names.")] = 5,
    pictures: Annotated[
        bool, typer.Option(help="Keep small training pictures in the file, to show as neighbors.")
    ] = True,
    memory: options.Memory = "4GiB",
    seed: options.Seed = 0,
) -> None:
    """Fit a guard around a trained network and write it to a file.

    The score learns from the training split, the thresholds come from calibration data that
    training never saw; on what is left of the test split the guard is checked.
    """
    from rich.console import Console

    from offmap.audit import parse_bytes
    from offmap.guard.card import card as as_card
    from offmap.guard.fit import fit_guard

    ready = common.prepared(
        run_file, demo, model=model, weights=weights, train=train, test=test,
        calibration=calibration, outliers=outlier,
        columns={"inputs": inputs, "targets": targets, "groups": groups}, task=task,
        feature_layer=feature_layer, allow_pickle=allow_pickle, parameters=parameter,
        memory=memory, seed=seed,
    )  # fmt: skip
    run = ready.run
    console = Console()
    with common.progress(console) as watch:
        made = fit_guard(
            run.model, ready.train, ready.calibration, score=_score(score, choice), alpha=alpha,
            per_class=per_class, confidence=confidence, risk=risk, disputed=disputed,
            settings=options.settings(set_, "SCORE"),
            domain=run.domain, feature_layer=run.feature_layer, class_names=run.class_names,
            task=run.task, name=run.name, neighbors=neighbors, pictures=pictures, seed=seed,
            memory=parse_bytes(memory), watch=watch,
        )  # fmt: skip
    made.save(out)
    console.print(f"{out}: {made.facts.name} guarded by {' + '.join(made.facts.scores)}")
    coverage, by_group = _checked(console, made, ready.check, ready.outliers, seed)
    if card is not None:
        from offmap.files import write_whole

        write_whole(card, as_card(made, coverage=coverage, groups=by_group).encode())
        console.print(f"card: {card}")


def _score(names: list[str], choice: Path | None) -> "str | list[str] | Choice":
    """The score that is asked for; the default where none is.

    Raises:
        InputError: If a choice is given as well, or cannot be read.
    """
    from offmap.guard.choice import Choice

    if choice is None:
        return names or DEFAULT
    if names:
        raise InputError("expected --score or --choice, got both: leave one out")
    return readable(lambda: Choice.from_json(choice.read_text(encoding="utf-8")), str(choice))


def _checked(
    console: "Console",
    guard: "Guard",
    check: "Split | None",
    others: "Mapping[str, Split]",
    seed: int,
) -> "tuple[dict[str, Covered] | None, GroupCounts | None]":
    """Say what the guard promises, and what it does to data that no part of it has seen."""
    from offmap.guard.coverage import coverage_matrix, judged, refused
    from offmap.numerics.selective import coverage_by_group
    from offmap.seeds import derive

    facts = guard.facts
    console.print(
        f"Promise: refuses {facts.promise.value:.1%} of familiar inputs as off the map "
        f"[{facts.promise.low:.1%}, {facts.promise.high:.1%}]; {facts.alpha:g} was asked for."
    )
    if facts.accepted_risk is not None:
        console.print(f"Accepted answers err in {facts.accepted_risk:.2%} of cases.")
    if check is None:
        console.print("Not checked: there is no test split beside the calibration data.")
        return None, None
    console.print(f"Checked on {len(check):,} fresh examples: refuses {refused(guard, check):.1%}.")
    groups = None
    if check.groups is not None and check.known_targets is not None and guard.sight.classifies:
        groups = coverage_by_group(*judged(guard, check), check.groups)
        console.print(_by_group(groups))
    if facts.domain.kind == "tokens":
        console.print("No strangers can be made of token numbers: none were tried.")
        return None, groups
    found = coverage_matrix(guard, check, facts.domain, derive(seed, "coverage"), others=others)
    console.print(_covered(found))
    console.print("A family that is not in the table may fare as badly as the worst of them.")
    return found, groups


def _by_group(groups: "GroupCounts") -> "Table":
    """What refusing does to each group: the worst group is often the one that it does not help."""
    from rich.table import Table

    from offmap.estimate import proportion

    table = Table(box=None, pad_edge=False)
    for name in ("group", "accepted", "error", "error of accepted"):
        table.add_column(name, justify="right")
    for name, rows, wrong, kept, left in zip(*(part.tolist() for part in groups), strict=True):
        error_left = f"{proportion(left, kept):.1%}" if kept else "none accepted"
        table.add_row(
            str(name), f"{proportion(kept, rows):.1%}", f"{proportion(wrong, rows):.1%}", error_left
        )
    return table


def _covered(found: "Mapping[str, Covered]") -> "Table":
    """Which families of strangers are refused, near ones first."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("strangers")
    table.add_column("")
    table.add_column("refused", justify="right")
    for name, cell in sorted(found.items(), key=lambda item: item[1].distance != "near"):
        note = cell.distance if cell.strange else f"{cell.distance}, may pass"
        table.add_row(name, note, f"{cell.refused:.1%}")
    return table
