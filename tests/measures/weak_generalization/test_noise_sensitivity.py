import math

import pytest
import torch
from scipy.stats import norm
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions
from offmap.measures.weak_generalization.noise_sensitivity import noise_sensitivity
from offmap.run import Domain, Split

OPEN = Domain((5,), torch.float32)
LEVELS = (0.1, 0.3, 1.0)


class Seen(nn.Module):
    """Keeps what it is given; answers class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.append(x)
        return torch.tensor([1.0, 0.0]).expand(len(x), 2)


def _hits(model, split, domain, **settings) -> torch.Tensor:
    assert noise_sensitivity.per_example is not None
    return noise_sensitivity.per_example(model, split, domain, **settings)


def _read(model: nn.Module, split: Split, levels=LEVELS):
    generator = torch.Generator().manual_seed(7)  # not that of the data
    hits = _hits(model, split, OPEN, levels=levels, generator=generator)
    with torch.no_grad():
        predictions = ClassPredictions(model(split.inputs), split.targets)
    return noise_sensitivity(predictions, hits, levels=levels)


def _linear() -> nn.Linear:
    """Says class 1 where the first input is positive."""
    model = nn.Linear(5, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]]))
    return model


def _data(n: int, generator: torch.Generator, strength: float = 1.0) -> Split:
    inputs = torch.randn(n, 5, generator=generator)
    inputs[:, 0] *= strength
    return Split(inputs, (inputs[:, 0] > 0).long(), name="test")


def _thresholds(n: int, generator: torch.Generator) -> tuple[ClassPredictions, torch.Tensor]:
    """Each example fails beyond its own level, uniform on [0, 0.5]: accuracy 1 - 2 level."""
    critical = torch.rand(n, generator=generator) / 2
    targets = torch.arange(n) % 2
    logits = nn.functional.one_hot(targets, 2).float()
    hits = (critical[:, None] > torch.tensor([0.1, 0.2, 0.4])).double()
    return ClassPredictions(logits, targets), hits


def test_accuracy_under_noise_has_the_closed_form_of_a_linear_model(generator):
    """P(hit) = Phi(margin / (level * rms * |w|)) for each example."""
    split = _data(4000, generator)
    reading = _read(_linear(), split)
    size = split.inputs.square().mean(1).sqrt()
    for level in LEVELS:
        chance = norm.cdf((split.inputs[:, 0].abs() / (level * size)).numpy())
        error = math.sqrt((chance * (1 - chance)).sum()) / 4000
        found = reading.parts[f"accuracy at noise {level:g}"]
        assert found.value == pytest.approx(chance.mean(), abs=4 * error)
    lost = [1 - reading.parts[f"accuracy at noise {level:g}"].value for level in LEVELS]
    assert reading.value == pytest.approx(sum(lost) / 3)
    assert reading.per_example is not None
    assert reading.per_example.mean().item() == pytest.approx(reading.value)


def test_levels_are_fractions_of_the_range_where_there_is_one(generator):
    domain = Domain((1000,), torch.float32, 0.0, 255.0)
    split = Split(torch.full((4, 1000), 128.0), torch.zeros(4, dtype=torch.long))
    model = Seen()
    _hits(model, split, domain, levels=(0.01, 0.02), generator=generator)
    first, second = (x - 128 for x in model.inputs)
    assert first.std().item() == pytest.approx(2.55, rel=4 / math.sqrt(2 * 4000))
    assert torch.allclose(second, 2 * first, atol=1e-4)


def test_levels_are_fractions_of_each_input_where_there_is_none(generator):
    inputs = torch.ones(3, 4000) * torch.tensor([[1.0], [100.0], [0.0]])
    model = Seen()
    split = Split(inputs, torch.zeros(3, dtype=torch.long))
    _hits(model, split, OPEN, levels=(0.1,), generator=generator)
    spread = (model.inputs[0] - inputs).std(dim=1).tolist()
    assert spread == pytest.approx([0.1, 10.0, 0.0], rel=4 / math.sqrt(2 * 4000))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, None), (None, 1.0)])
def test_noise_stays_within_the_domain(generator, low, high):
    model = Seen()
    split = Split(torch.rand(50, 20, generator=generator), torch.zeros(50, dtype=torch.long))
    domain = Domain((20,), torch.float32, low, high)
    _hits(model, split, domain, levels=(0.5,), generator=generator)
    seen = model.inputs[0]
    assert (seen.min().item() == 0) == (low is not None)
    assert (seen.max().item() == 1) == (high is not None)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float64])
def test_the_model_is_given_its_own_type(generator, dtype):
    inputs = torch.full((3, 4000), 100).to(dtype)
    model = Seen()
    split = Split(inputs, torch.zeros(3, dtype=torch.long))
    _hits(model, split, Domain((4000,), dtype, 0, 255), levels=(0.02, 1.0), generator=generator)
    assert {x.dtype for x in model.inputs} == {dtype}
    small = model.inputs[0].double() - 100
    assert abs(small.mean().item()) <= 4 * 5.1 / math.sqrt(12_000)
    assert model.inputs[1].double().unique().min() == 0


def test_orders_deaf_sturdy_and_fragile(generator):
    deaf = _read(Seen(), Split(torch.ones(600, 5), torch.zeros(600, dtype=torch.long)))
    sturdy = _read(_linear(), _data(600, generator, strength=3.0))
    fragile = _read(_linear(), _data(600, generator, strength=0.2))
    assert deaf.value == deaf.low == 0
    assert deaf.high < sturdy.low < sturdy.high < fragile.low
    assert deaf.null is not None
    assert deaf.null.value == 0


def test_half_the_lead_is_where_the_lines_cross():
    """Accuracy 1, 0.9, 0.7, 0.5 at 0, 0.1, 0.2, 0.4; half-way to 0.5 is 0.75: at 0.175."""
    n = 1000
    targets = torch.arange(n) % 2
    predictions = ClassPredictions(nn.functional.one_hot(targets, 2).float(), targets)
    hits = (torch.arange(n)[:, None] < torch.tensor([900, 700, 500])).double()
    reading = noise_sensitivity(predictions, hits, levels=(0.1, 0.2, 0.4))
    half = reading.parts["noise at which half the lead over guessing is lost"]
    assert half.value == pytest.approx(0.175)
    assert 0.1 < half.low < half.value < half.high < 0.25
    assert reading.notes == ()


def test_intervals_cover():
    """Uniform thresholds: accuracy 1 - 2 level, so 0.75 at 0.125, and 2 * 7/30 lost on average."""
    generator = torch.Generator().manual_seed(1)
    lost, half = 0, 0
    for _ in range(200):
        reading = noise_sensitivity(*_thresholds(400, generator), levels=(0.1, 0.2, 0.4))
        level = reading.parts["noise at which half the lead over guessing is lost"]
        lost += reading.low <= 2 * 0.7 / 3 <= reading.high
        half += level.low <= 0.125 <= level.high
    assert 0.90 <= lost / 200 <= 0.99
    assert 0.90 <= half / 200 <= 0.99


def test_says_where_half_the_lead_cannot_be_placed(generator):
    reading = _read(_linear(), _data(300, generator, strength=50.0), levels=(0.01,))
    assert "noise at which half the lead over guessing is lost" not in reading.parts
    assert reading.notes == (
        "At no level tried is it certain that half the lead over guessing is lost.",
    )
    constant = _read(Seen(), Split(torch.ones(300, 5), torch.arange(300) % 2))
    assert "noise at which half the lead over guessing is lost" not in constant.parts


def test_renaming_classes_changes_nothing(generator):
    split = _data(300, generator)
    other = _linear()
    with torch.no_grad():
        other.weight.copy_(other.weight.flip(0))
    found = _read(other, Split(split.inputs, 1 - split.targets))
    assert found.estimate == _read(_linear(), split).estimate


def test_same_generator_same_hits_and_the_model_is_left_alone(generator):
    model = nn.Sequential(_linear(), nn.Dropout(0.5)).train()
    split = _data(300, generator)
    first, second, third = (
        _hits(model, split, OPEN, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert first.shape == (300, 5)
    assert model.training
    assert model[1].training
    assert all(w.grad is None for w in model.parameters())


@pytest.mark.parametrize("levels", [(), (0.0, 0.1), (0.2, 0.1), (0.1, 0.1), (-0.1,)])
def test_refuses_levels_that_do_not_increase(generator, levels):
    with pytest.raises(ValueError, match="positive, increasing levels"):
        _hits(_linear(), _data(5, generator), OPEN, levels=levels, generator=generator)


def test_refuses_tokens(generator):
    split = Split(torch.zeros(3, 4, dtype=torch.long), torch.zeros(3, dtype=torch.long))
    domain = Domain((4,), torch.int64, kind="tokens")
    with pytest.raises(CannotMeasure, match="token numbers"):
        _hits(Seen(), split, domain, generator=generator)
