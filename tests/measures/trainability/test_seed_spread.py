"""The luck of the seed, against laws that are known."""

from math import sqrt

import pytest
import torch
from scipy import stats
from torch import nn

from offmap.estimate import Estimate, exact
from offmap.inputs import ClassPredictions, RealPredictions
from offmap.measures.trainability.seed_spread import (
    _detectable,
    _seeds_needed,
    deviation,
    errors_after_retraining,
    independent_spread,
    seed_spread,
)
from offmap.run import Recipe, Split
from offmap.train import trainer


def audited(error: float = 0.25, n: int = 400) -> ClassPredictions:
    targets = torch.zeros(n, dtype=torch.long)
    said = (torch.arange(n) < round(error * n)).long()
    return ClassPredictions(torch.eye(2)[said], targets)


def flips(rates: torch.Tensor, seeds: int, generator: torch.Generator) -> torch.Tensor:
    """Each example wrong by itself, at its own rate."""
    return (torch.rand(seeds, len(rates), generator=generator) < rates).double()


def test_deviation_is_exact_for_normal_values():
    values = torch.tensor([1.0, 2.0, 4.0, 7.0, 1.5]).double()
    found = deviation(values)
    law = stats.chi2(4)
    assert found.value == pytest.approx(values.numpy().std(ddof=1))
    assert found.low == pytest.approx(found.value * sqrt(4 / law.ppf(0.975)))
    assert found.high == pytest.approx(found.value * sqrt(4 / law.ppf(0.025)))


def test_interval_covers_the_truth(generator):
    covered = 0
    for _ in range(200):
        errors = 0.3 + 0.02 * torch.randn(5, 1, generator=generator).double()
        reading = seed_spread(audited(), errors.expand(5, 3))
        covered += reading.low <= 0.02 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_independent_flips_have_the_spread_of_the_null(generator):
    """Rates u^2 of uniform u: E[p (1 - p)] = 1/3 - 1/5, over the number of examples."""
    truth = sqrt((1 / 3 - 1 / 5) / 500)
    null, spread = 0, 0
    for _ in range(200):
        rows = flips(torch.rand(500, generator=generator).double() ** 2, 5, generator)
        found = independent_spread(rows)
        null += found.low <= truth <= found.high
        found = deviation(rows.mean(dim=1))
        spread += found.low <= truth <= found.high
    assert 0.90 <= null / 200 <= 0.99
    assert 0.90 <= spread / 200 <= 0.99


def test_spread_on_unlimited_data_is_unbiased_in_the_variance(generator):
    """Seeds that are better by N(0, .05): s^2 - s0^2 has mean .05^2 m / (m - 1) less the rest."""
    m, quality, squares = 300, 0.05, []
    for _ in range(400):
        rate = (0.4 + quality * torch.randn(6, 1, generator=generator)).clamp(0, 1)
        rows = (torch.rand(6, m, generator=generator) < rate).double()
        squares.append(deviation(rows.mean(1)).value ** 2 - independent_spread(rows).value ** 2)
    found = torch.tensor(squares).double()
    truth = quality**2 * (1 - 1 / m)
    assert abs(found.mean().item() - truth) < 4 * found.std().item() / sqrt(400)


def test_order_of_identical_independent_and_uneven_seeds(generator):
    rates = torch.full((1000,), 0.3).double()
    one = flips(rates, 1, generator)
    same = seed_spread(audited(), one.expand(8, 1000), seeds=8)
    luck = seed_spread(audited(), flips(rates, 8, generator), seeds=8)
    shift = torch.linspace(-0.2, 0.2, 8)[:, None]
    uneven = seed_spread(
        audited(), (torch.rand(8, 1000, generator=generator) < 0.3 + shift).double()
    )
    assert same.value == same.null.value == 0
    assert luck.low < luck.null.value < luck.high
    assert luck.parts["spread on unlimited test data"].low == 0
    assert uneven.low > uneven.null.high
    assert uneven.parts["spread on unlimited test data"].low > 0
    assert same.value < luck.value < uneven.value


def test_churn_is_the_share_of_pairs_that_differ(generator):
    rows = flips(torch.rand(80, generator=generator), 4, generator)
    pairs = [(rows[a] != rows[b]).double().mean() for a in range(4) for b in range(a)]
    churn = seed_spread(audited(), rows).parts["right for one seed, wrong for another"]
    assert churn.value == pytest.approx(torch.stack(pairs).mean().item())
    real = RealPredictions(torch.zeros(5, 1), torch.ones(5, 1))
    parts = seed_spread(real, torch.rand(4, 80, generator=generator)).parts
    assert "right for one seed, wrong for another" not in parts


def power(difference: float, seeds: int) -> float:
    """Chance that a two-sided t-test at 5 % sees a difference, in spreads: noncentral t."""
    freedom, shift = 2 * seeds - 2, difference * sqrt(seeds / 2)
    edge = stats.t.ppf(0.975, freedom)
    return stats.nct.sf(edge, freedom, shift) + stats.nct.cdf(-edge, freedom, shift)


@pytest.mark.parametrize("seeds", [3, 5, 10, 40])
def test_detectable_difference_is_seen_four_times_in_five(seeds):
    assert power(_detectable(seeds), seeds) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("spreads", [2.0, 1.0, 0.5, 0.1])
def test_seeds_needed_reach_the_power_and_no_more(spreads):
    needed = _seeds_needed(exact(1.0), spreads)["seeds needed to show a tenth of the error"]
    assert power(spreads, round(needed.value)) > 0.78
    assert power(spreads, round(needed.value) - 2) < 0.8
    wide = _seeds_needed(Estimate(1.0, 0.5, 2.0, "replicates", 5), spreads)
    assert wide.popitem()[1].high > needed.value


def test_no_error_at_all_has_no_tenth():
    reading = seed_spread(audited(), torch.zeros(3, 50))
    assert (reading.value, reading.low, reading.high) == (0, 0, 0)
    assert "seeds needed to show a tenth of the error" not in reading.parts


def test_scale_and_order_of_examples(generator):
    rows = torch.rand(5, 60, generator=generator).double()
    real = RealPredictions(torch.zeros(5, 1), torch.ones(5, 1))
    first = seed_spread(real, rows)
    moved = seed_spread(real, 3 * rows[:, torch.randperm(60, generator=generator)].flip(0))
    assert moved.value == pytest.approx(3 * first.value)
    assert moved.null.value == pytest.approx(3 * first.null.value)
    needed = "seeds needed to show a tenth of the error"
    assert moved.parts[needed] == first.parts[needed]


def test_an_audited_model_from_elsewhere_is_named(generator):
    rows = flips(torch.full((400,), 0.25).double(), 5, generator)
    usual = seed_spread(audited(rows.mean().item()), rows)
    assert usual.notes == ()
    odd = seed_spread(audited(0.9), rows)
    distance = odd.parts["audited model, spreads above the mean"].value
    assert distance == pytest.approx((0.9 - rows.mean().item()) / odd.value)
    assert "spreads above the mean of its recipe" in odd.notes[0]
    assert "spreads below the mean of its recipe" in seed_spread(audited(0.0), rows).notes[0]
    assert list(odd.figures[0].values) == [*(f"seed {k}" for k in range(1, 6)), "audited model"]


def test_the_note_is_false_in_one_of_twenty_cases(generator):
    """The audited model comes from the recipe: its error lies within the t prediction interval."""
    named = 0
    for _ in range(400):
        errors = torch.randn(6, 1, generator=generator).double()
        own = 10 + errors[5:]
        real = RealPredictions(own.sqrt().expand(4, 1), torch.zeros(4, 1).double())
        named += bool(seed_spread(real, 10 + errors[:5].expand(5, 4)).notes)
    assert abs(named / 400 - 0.05) < 4 * sqrt(0.05 * 0.95 / 400)


# ------------------------------------------------------------------------------- one retraining


def recipe(build, loss) -> Recipe:
    return Recipe(build, lambda w: torch.optim.SGD(w, lr=0.1), loss, epochs=1, batch_size=8)


def test_errors_of_a_classifier(generator):
    train, test = (
        Split(torch.randn(n, 4, generator=generator), torch.arange(n) % 3) for n in (64, 700)
    )
    plan = recipe(lambda: nn.Linear(4, 3), nn.functional.cross_entropy)
    errors = errors_after_retraining(plan, train, test, generator=torch.Generator().manual_seed(1))
    model = trainer(plan)(train, torch.Generator().manual_seed(1))
    expected = ClassPredictions(model(test.inputs).detach(), test.targets)
    assert torch.equal(errors, expected.error)


def test_errors_of_a_regression_and_of_a_reconstruction(generator):
    inputs = torch.randn(40, 4, generator=generator)
    plan = recipe(lambda: nn.Linear(4, 4), nn.functional.mse_loss)
    for known in (inputs.flip(1), None):
        split = Split(inputs, known)
        errors = errors_after_retraining(
            plan, split, split, generator=torch.Generator().manual_seed(1)
        )
        model = trainer(plan)(split, torch.Generator().manual_seed(1))
        expected = RealPredictions(model(inputs).detach(), split.targets).error
        assert torch.allclose(errors, expected, rtol=1e-6)


def test_errors_of_a_language_model(generator):
    tokens = torch.randint(5, (20, 6), generator=generator)
    split = Split(tokens, tokens.roll(-1, 1))

    def loss(out, targets):
        return nn.functional.cross_entropy(out.flatten(0, 1), targets.flatten())

    plan = recipe(lambda: nn.Embedding(5, 5), loss)
    errors = errors_after_retraining(plan, split, split, generator=torch.Generator().manual_seed(1))
    model = trainer(plan)(split, torch.Generator().manual_seed(1))
    wrong = [
        [int(model(row)[t].argmax()) != int(target[t]) for t in range(6)]
        for row, target in zip(tokens, split.targets, strict=True)
    ]
    assert torch.equal(errors, torch.tensor(wrong).double().mean(dim=1))


def test_seeds_differ_and_repeat(generator):
    split = Split(torch.randn(64, 4, generator=generator), torch.randn(64, 1, generator=generator))
    plan = recipe(lambda: nn.Linear(4, 1), nn.functional.mse_loss)
    one, other, again = (
        errors_after_retraining(plan, split, split, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 2, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_refuses_a_single_seed():
    with pytest.raises(ValueError, match="expected seeds >= 2, got 1"):
        seed_spread(audited(), torch.zeros(1, 5), seeds=1)
