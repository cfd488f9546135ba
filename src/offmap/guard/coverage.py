"""Which families of strangers a fitted guard refuses, and which it lets pass."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from offmap.estimate import Estimate, proportion
from offmap.guard.strangers import Distance, families
from offmap.guard.verdict import Verdict
from offmap.passes import BATCH, device_of, evaluating
from offmap.run import Domain, Split


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of one family a guard refuses.

    Args:
        refused: Share of the family, with its interval.
        distance: Whether the family lies near or far.
        strange: Whether a guard ought to refuse it: what is only a little bent may pass.
    """

    refused: Estimate
    distance: Distance
    strange: bool


def coverage_matrix(
    guard: nn.Module,
    split: Split,
    domain: Domain,
    generator: torch.Generator,
    *,
    others: Mapping[str, Split] | None = None,
) -> dict[str, Covered]:
    """The share of each family of strangers that the guard refuses, for whatever reason.

    One score covers some families and not others: what it does to noise says nothing of what it
    does to fakes made of real examples. What a filter is worth against strangers that nobody
    thought of can only be guessed from the least of these shares.

    Args:
        guard: (inputs) -> Verdict.
        split: Fresh examples, on which nothing was fitted: the strangers are made of them.
        domain: The contract of an input.
        generator: Of all that is drawn.
        others: The user's own strangers by name; how near they are nobody knows.

    Raises:
        InputError: If no strangers can be made of such inputs.
    """
    made = {
        name: Covered(refused(guard, family(split, domain, generator)), family.kind, family.strange)
        for name, family in families(domain).items()
    }
    given = {
        name: Covered(refused(guard, own), "unknown", True) for name, own in (others or {}).items()
    }
    return made | given


def judged(guard: nn.Module, split: Split) -> tuple[Bool[Tensor, " n"], Bool[Tensor, " n"]]:
    """Whether each example of a split is accepted, and whether its answer is wrong.

    Args:
        guard: A guarded classifier, (inputs) -> Verdict.
        split: Examples with their classes.
    """
    accepted, error = [], []
    device = device_of(guard)
    with evaluating(guard), torch.no_grad():
        for batch in split.batches(BATCH):
            verdict: Verdict = guard(batch.inputs.to(device))
            accepted.append(verdict.accepted.cpu())
            error.append(verdict.prediction.cpu() != batch.targets)
    return torch.cat(accepted), torch.cat(error)


def refused(guard: nn.Module, split: Split) -> Estimate:
    """The share of a split that the guard refuses, for whatever reason."""
    count = 0
    device = device_of(guard)
    with evaluating(guard), torch.no_grad():
        for batch in split.batches(BATCH):
            verdict: Verdict = guard(batch.inputs.to(device))
            count += int((~verdict.accepted).sum())
    return proportion(count, len(split))
