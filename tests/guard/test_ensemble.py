import math

import pytest
import torch
from torch import Tensor, nn

from offmap.guard.ensemble import Ensemble, ensemble, surprise, tabulated
from offmap.numerics.ranking import auroc
from offmap.score import Seen


class Column(nn.Module):
    """A score that is one number of the input."""

    def __init__(self, column: int, factor: float = 1.0) -> None:
        super().__init__()
        self.column, self.factor = column, factor

    def forward(self, seen: Seen) -> Tensor:
        return self.factor * seen.inputs[:, self.column]


def _joined(reference: Tensor, factor: float = 1.0) -> Ensemble:
    members = [Column(0), Column(1, factor)]
    return ensemble(members, [member(Seen(reference)) for member in members])


def test_surprise_is_minus_the_log_of_the_share_above(generator):
    reference = torch.randn(2000, generator=generator)
    table = tabulated(reference)
    at = torch.linspace(-2, 1.2, 40)
    share = (reference[None] >= at[:, None]).double().mean(dim=1)
    # linear between the points, which are 1.4 % of the rows apart
    assert (surprise(at, *table) + share.log()).abs().max() < 0.02


def test_surprise_of_an_exponential_law_grows_forever():
    """Of s ~ Exp(2), P(S >= s) = exp(-2 s), also where no reference row lies."""
    s = -torch.log1p(-(torch.arange(50_000) + 0.5) / 50_000) / 2  # its quantiles
    found = surprise(torch.tensor([0.5, 1.0, 5.0, 20.0]), *tabulated(s))
    assert found.tolist() == pytest.approx([1, 2, 10, 40], rel=0.02)


def test_surprise_never_falls_and_is_flat_below(generator):
    for values in (
        torch.randn(300, generator=generator),
        torch.randint(4, (300,), generator=generator).float(),
        torch.cat([torch.zeros(299), torch.ones(1)]),
        torch.cat([torch.zeros(1), torch.ones(299)]),
        torch.cat(
            [torch.rand(150, generator=generator) * 1e-9, torch.rand(150, generator=generator)]
        ),
        1e6 + torch.randn(300, generator=generator).double(),
    ):
        table = tabulated(values)
        assert all(bool(column.isfinite().all()) for column in table)
        spread = float(values.max() - values.min())
        at = torch.linspace(-1, 2, 500).double() * spread + values.min()
        heights = surprise(at, *table)
        assert (heights.diff() >= -1e-12).all()
        low = surprise(values.min()[None].double() - 1e9, *table)
        assert low.item() == heights.min().item() >= 0
        assert heights[-1] > heights[:300].max()  # beyond the strangest row it still rises


def test_rounding_moves_it_little(generator):
    """Values that only rounding tells apart are no cliff."""
    values = torch.cat(
        [torch.ones(200) + 1e-7 * torch.randn(200, generator=generator), torch.linspace(1, 3, 200)]
    )
    table = tabulated(values)
    at = torch.linspace(0.99, 3.5, 5000).double()
    assert (surprise(at + 2e-7, *table) - surprise(at, *table)).abs().max() < 0.02


def test_units_do_not_matter(generator):
    reference, fresh = torch.randn(2, 500, 2, generator=generator)
    one, other = (_joined(reference, factor)(Seen(fresh)) for factor in (1.0, 1e4))
    assert torch.allclose(one, other, rtol=1e-5)


def test_sees_what_either_member_sees(generator):
    """Strangers of two kinds, each of which one member alone finds strange."""
    reference, fresh, left, right = torch.randn(4, 800, 2, generator=generator)
    left[:, 0] += 4
    right[:, 1] += 4
    joined = _joined(reference)
    positive = torch.arange(1600) >= 800

    def area(score: nn.Module, strangers: Tensor) -> float:
        values = torch.cat([score(Seen(fresh)), score(Seen(strangers))])
        return float(auroc(values, positive))

    assert area(Column(0), right) < 0.55 and area(Column(1), left) < 0.55
    assert area(joined, left) > 0.97 and area(joined, right) > 0.97


def test_nobody_vouches(generator):
    """What one member finds strange stays so, however familiar the other finds it."""
    joined = _joined(torch.randn(500, 2, generator=generator))
    plain, vouched = joined(Seen(torch.tensor([[8.0, -2.5], [8.0, -1e9]])))
    assert vouched.item() == pytest.approx(plain.item(), abs=0.02)


def test_a_row_does_not_depend_on_the_others(generator):
    joined = _joined(torch.randn(500, 2, generator=generator))
    rows = torch.randn(40, 2, generator=generator)
    alone = torch.cat([joined(Seen(row[None])) for row in rows])
    assert torch.equal(joined(Seen(rows)), alone)


def test_its_state_is_saved_with_it(generator):
    reference, rows = torch.randn(2, 500, 2, generator=generator)
    joined = _joined(reference)
    blank = Ensemble(
        [Column(0), Column(1)], *(torch.zeros_like(buffer) for buffer in joined.buffers())
    )
    blank.load_state_dict(joined.state_dict())
    assert torch.equal(blank(Seen(rows)), joined(Seen(rows)))


class Plain(nn.Module):
    """An ensemble as a function of one tensor."""

    def __init__(self, joined: Ensemble) -> None:
        super().__init__()
        self.joined = joined

    def forward(self, inputs: Tensor) -> Tensor:
        return self.joined(Seen(inputs))


def test_exports_with_any_batch(generator):
    reference, rows = torch.randn(2, 300, 2, generator=generator)
    plain = Plain(_joined(reference))
    program = torch.export.export(
        plain, (rows[:4],), dynamic_shapes=({0: torch.export.Dim("n")},)
    ).module()
    assert torch.equal(program(rows), plain(rows))
    assert program(rows[:1]).shape == (1,)


def test_refusals():
    with pytest.raises(ValueError, match=r"expected one reference for each .*, got 1 for 2"):
        ensemble([Column(0), Column(1)], [torch.arange(30.0)])
    with pytest.raises(ValueError, match="got 0 for 0"):
        ensemble([], [])
    for values in (torch.arange(10.0), torch.zeros(30), torch.tensor([math.nan] * 30)):
        with pytest.raises(ValueError, match="expected at least 20 finite reference scores"):
            tabulated(values)
