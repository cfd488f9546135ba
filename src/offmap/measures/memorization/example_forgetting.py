"""Which training examples did the network learn and lose again?"""

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from offmap.attempt import CannotMeasure, InputError
from offmap.estimate import exact, mean, proportion
from offmap.figures import Gallery, Histogram
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading
from offmap.run import History, Split

SHOWN = 12  # examples in the gallery


@measure(
    asks="What share of the training examples was learned once and never lost again?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="higher",
    cost=Cost.WEIGHTS,
    read="0.9: nine in ten are easy, and many of them redundant. 0.3: most examples were "
    "unlearned at some time. At the null: which examples are right after an epoch is a matter of "
    "luck.",
    caution="Recorded after each epoch, not each time an example is seen: other counts than in "
    "the paper. Fewer epochs, fewer chances to forget. An example that was never learned is not "
    "counted as remembered.",
    next_step="Look at the most forgotten and the never learned: wrong labels gather there. "
    "Correct or drop them; of those never forgotten, some can be left out at little loss.",
    paper=Paper("Toneva et al. 2019", "https://arxiv.org/abs/1812.05159"),
)
def example_forgetting(history: History, train: Split) -> Reading:
    r"""Share of training examples with no forgetting event, among all.

    A forgetting event is a change from right after one epoch to wrong after the next. The null is
    exact: were each example right after epoch e with the probability :math:`a_e` (that epoch's
    accuracy) and independently of its past, it would be learned for good with probability

    .. math:: \sum_t \prod_{e < t} (1 - a_e) \prod_{e \ge t} a_e

    Raises:
        InputError: If the history is not of this training split.
        CannotMeasure: If it has fewer than two epochs.
    """
    correct = history.correct
    epochs, n = correct.shape
    if n != len(train):
        raise InputError(
            f"history: expected one column for each of {len(train)} training examples, got {n}: "
            "record it on the split that the run is given"
        )
    if epochs < 2:
        raise CannotMeasure(f"forgetting needs at least two recorded epochs, got {epochs}")
    events = forgetting_events(correct)
    learned = correct.any(dim=0)
    kept = learned & (events == 0)
    accuracy = correct.double().mean(dim=1)  # [epochs]
    edges = torch.arange(int(events.max()) + 2).double() - 0.5
    counts = torch.bincount(events[learned], minlength=len(edges) - 1).double()
    return Reading(
        proportion(int(kept.sum()), n),
        null=exact(kept_by_luck(accuracy), n),
        parts={
            "never learned": proportion(int((~learned).sum()), n),
            "learned, but wrong at the end": proportion(int((learned & ~correct[-1]).sum()), n),
            "forgetting events": mean(events.double()),
            "forgetting events, by luck": exact(
                (accuracy[:-1] * (1 - accuracy[1:])).sum().item(), n
            ),
        },
        figures=(
            Histogram("How often examples were forgotten", "events", edges, {"learned": counts}),
            *_gallery(train, events, learned),
        ),
        notes=_notes(events, learned),
    )


def forgetting_events(correct: Bool[Tensor, "epochs n"]) -> Int[Tensor, " n"]:
    """How often each example was right after one epoch and wrong after the next."""
    return (correct[:-1] & ~correct[1:]).sum(dim=0)


def kept_by_luck(accuracy: Float64[Tensor, " epochs"]) -> float:
    """Probability that independent epochs are wrong at first, then right, at the end at least."""
    ones = torch.ones(1, dtype=torch.double)
    wrong_before = torch.cat([ones, (1 - accuracy).cumprod(0)])[:-1]
    right_after = accuracy.flip(0).cumprod(0).flip(0)
    return (wrong_before * right_after).sum().item()


def _hardest(events: Int[Tensor, " n"], learned: Bool[Tensor, " n"]) -> Tensor:
    """Rows that were forgotten or never learned [m], the hardest first; never learned is worst."""
    rank = torch.where(learned, events, events.max() + 1)
    return rank.argsort(descending=True, stable=True)[: int((rank > 0).sum())]


def _gallery(
    train: Split, events: Int[Tensor, " n"], learned: Bool[Tensor, " n"]
) -> tuple[Gallery, ...]:
    """The examples that were hardest to keep, half of them never learned where there are such."""
    rows = _hardest(events, learned)
    never, lost = rows[~learned[rows]], rows[learned[rows]]
    rows = torch.cat([lost[: max(SHOWN // 2, SHOWN - len(never))], never])[:SHOWN]
    if not len(rows):
        return ()

    def caption(row: int) -> str:
        said = f"forgotten {int(events[row])} times" if learned[row] else "never learned"
        target = None if train.known_targets is None else train.known_targets[row]
        return said if target is None or target.ndim else f"{said}, target {target.item()}"

    title = "The training examples that were hardest to keep"
    return (Gallery(title, ("train",), rows[:, None], tuple(map(caption, rows.tolist()))),)


def _notes(events: Int[Tensor, " n"], learned: Bool[Tensor, " n"]) -> tuple[str, ...]:
    """The hardest rows, by number."""
    notes = []
    rows = _hardest(events, learned)
    lost = rows[learned[rows]][:10]
    if len(lost):
        named = ", ".join(f"{row} ({events[row]} times)" for row in lost.tolist())
        notes.append(f"Forgotten most often: train rows {named}.")
    never = rows[~learned[rows]]
    if len(never):
        named = ", ".join(str(row) for row in never[:10].tolist())
        notes.append(f"Never learned: {len(never)} examples, such as train rows {named}.")
    return tuple(notes)
