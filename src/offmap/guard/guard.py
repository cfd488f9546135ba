"""A network with a filter in front: predict, or refuse with a reason."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor, nn

from offmap.attempt import InputError, readable
from offmap.estimate import Estimate
from offmap.guard.answer import Answer, answers
from offmap.guard.atlas import Atlas
from offmap.guard.facts import REASONS, Facts
from offmap.guard.file import parts, write
from offmap.guard.ruler import Ruler
from offmap.guard.seeing import Sight
from offmap.guard.verdict import Verdict, sound, within
from offmap.numerics.conformal import benjamini_hochberg
from offmap.passes import BATCH, device_of, evaluating
from offmap.score import Seen

CONTRACT, OFF_MAP, UNCERTAIN, DISPUTED, DRIFT = (
    REASONS.index(name) for name in ("contract", "off_map", "uncertain", "disputed", "drift")
)


class Guard(nn.Module):
    """A network that answers, or refuses with a reason. Made by `fit_guard`, or read from a file.

    `forward` is pure tensor code: it can be compiled and exported. `answer` says the same in words,
    with the nearest training examples.

    Args:
        sight: The network.
        ruler: How strange an input is.
        facts: What the guard promises and is made of.
        atlas: The training examples that it can name.
        sure: An answer is sure enough if the log-probability of its class exceeds this; None: any
            is.
        dispute: How much the neighbors disagree with the network; None: they are not asked.
    """

    def __init__(
        self,
        sight: Sight,
        ruler: Ruler,
        facts: Facts,
        atlas: Atlas,
        *,
        sure: float | None = None,
        dispute: Ruler | None = None,
    ) -> None:
        super().__init__()
        self.sight, self.ruler, self.facts, self.atlas = sight, ruler, facts, atlas
        self.sure, self.dispute = sure, dispute
        self.train(False)

    def train(self, mode: bool = True) -> "Guard":
        """Nothing: a guard judges the network in evaluation mode alone."""
        return super().train(False)

    @property
    def promise(self) -> Estimate:
        """The rate at which it refuses familiar inputs as off the map."""
        return self.facts.promise

    def forward(self, inputs: Shaped[Tensor, "n ..."]) -> Verdict:
        """The verdict on inputs [n, *shape].

        Raises:
            InputError: If the whole batch has another shape or type than the domain.
        """
        return self.judge(inputs)[0]

    def judge(self, inputs: Shaped[Tensor, "n ..."]) -> tuple[Verdict, Seen]:
        """The verdict on inputs [n, *shape], and what it rests on.

        Raises:
            InputError: If the whole batch has another shape or type than the domain.
        """
        self._check(inputs)
        kept = None
        # a program replaces what breaks the contract whether there is any or not
        if torch.compiler.is_compiling() or not bool(within(inputs, self.facts).all()):
            kept = sound(inputs, self.facts)
            inputs = torch.where(_as_rows(kept, inputs), inputs, self._filler(inputs))
        out, seen = self.sight.look(inputs)
        classes = out.argmax(dim=-1) if self.sight.classifies else None
        score, p = self.ruler(seen, classes)
        reason = torch.where(p <= self.ruler.rate, OFF_MAP, 0)
        if self.sure is not None:
            doubt = out.double().log_softmax(dim=-1).amax(dim=-1) <= self.sure
            reason = torch.where((reason == 0) & doubt, UNCERTAIN, reason)
        if self.dispute is not None:
            _, shared = self.dispute(seen, classes)
            differ = shared <= self.dispute.rate
            reason = torch.where((reason == 0) & differ, DISPUTED, reason)
        if kept is not None:
            reason = torch.where(kept, reason, CONTRACT)
            p, score = (torch.where(kept, column, torch.nan) for column in (p, score))
            classes = None if classes is None else torch.where(kept, classes, -1)
        said = out if classes is None else classes
        return Verdict(said, p, reason == 0, reason.to(torch.int8), score), seen

    def answer(self, inputs: Tensor | Sequence[Tensor]) -> list[Answer]:
        """The verdict on each input in words, with the nearest training examples.

        Args:
            inputs: [n, *shape], or one tensor for each input: one of another shape or type is
                refused by itself.

        Raises:
            InputError: If there are none.
        """
        return answers(self, inputs)

    def save(self, path: str | Path) -> None:
        """All of it but the network, in one safetensors file without pickles.

        Raises:
            InputError: If the place cannot be written.
        """
        write(self, path)

    @classmethod
    def load(cls, path: str | Path, *, model: nn.Module) -> "Guard":
        """The guard of a file around a copy of the network that it was fitted on, on its device.

        Args:
            path: What `save` wrote.
            model: That network.

        Raises:
            InputError: If the file is missing, damaged, none of a guard, newer than this offmap,
                or of another network; it says which.
        """
        guard = cls(**parts(path, model)).to(device_of(model))
        domain = guard.facts.domain
        blank = torch.full((2, *domain.shape), domain.low or 0.0, dtype=domain.dtype)
        # what the file holds is now tried on what the network gives
        readable(lambda: guard.answer(blank), f"{path}: an answer of its guard", "given")
        return guard

    def strangers(self, inputs: Shaped[Tensor, "n ..."], rate: float) -> Bool[Tensor, " n"]:
        """Which inputs of a batch to call strangers, with few false discoveries among them.

        Of those called so, at most a share `rate` is familiar on average (Benjamini and Hochberg
        1995; for conformal p-values Bates et al. 2023). Whoever breaks the contract is called a
        stranger without a test.

        Args:
            inputs: [n, *shape].
            rate: Of false discoveries, between 0 and 1.

        Raises:
            InputError: If the batch has another shape or type than the domain.
            ValueError: If the rate is not between 0 and 1.
        """
        with evaluating(self):
            found = [self(batch.to(device_of(self))) for batch in inputs.split(BATCH)]
        p = torch.cat([verdict.p_value.cpu() for verdict in found])
        tested = ~p.isnan()
        strange = ~tested
        strange[tested] = benjamini_hochberg(p[tested], rate)
        return strange

    def _check(self, inputs: Tensor) -> None:
        """Refuse a batch that cannot even be looked at row by row.

        Raises:
            InputError: If its shape or type is another than the domain's.
        """
        domain = self.facts.domain
        if tuple(inputs.shape[1:]) != domain.shape or inputs.dtype != domain.dtype:
            shape = ", ".join(map(str, ("n", *domain.shape)))
            raise InputError(
                f"expected inputs of shape ({shape}) and type {domain.dtype}, "
                f"got {tuple(inputs.shape)} of {inputs.dtype}: reshape or convert them"
            )

    def _filler(self, inputs: Tensor) -> Tensor:
        """What stands for an input that breaks the contract while the others are answered."""
        low = self.facts.domain.low or 0.0
        return torch.full((), low, dtype=inputs.dtype, device=inputs.device)


def _as_rows(kept: Bool[Tensor, " n"], inputs: Shaped[Tensor, "n ..."]) -> Bool[Tensor, "n ..."]:
    return kept.reshape(-1, *[1] * (inputs.ndim - 1))
