import math

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.figures import Curve
from offmap.inputs import ClassPredictions
from offmap.measures.strong_generalization.far_confidence import far_confidence
from offmap.models.mlp import MLP
from offmap.run import Domain, Split

OPEN = Domain((6,), torch.float32)
CERTAIN = "within 1e-06 of certainty"
LIMIT, KNOWN = "in the limit, on these rays", "rays whose limit is known"


class Seen(nn.Module):
    """Keeps what it is given; answers class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.append(x)
        return torch.tensor([1.0, 0.0, 0.0]).expand(len(x), 3)


class Squares(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2].square()


class Signs(nn.Module):
    """A bounded network: tanh, then one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.tanh())


def _read(model: nn.Module, inputs: torch.Tensor, domain: Domain = OPEN, seed: int = 7, **settings):
    split = Split(inputs, torch.zeros(len(inputs), dtype=torch.long), name="test")
    with torch.no_grad():
        predictions = ClassPredictions(model(inputs).float(), split.targets)
    generator = torch.Generator().manual_seed(seed)
    return far_confidence(model, split, predictions, domain, generator=generator, **settings)


def _seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def _linear(weight: float) -> nn.Linear:
    """Two classes; the logits differ by weight times the first input."""
    model = nn.Linear(6, 2, bias=False)
    with torch.no_grad():
        model.weight.zero_()
        model.weight[1, 0] = weight
    return model


def test_a_linear_classifier_has_a_closed_form(generator):
    inputs = torch.randn(300, 6, generator=generator)
    reading = _read(_linear(2.0), inputs, scales=(1.0, 3.0, 1000.0), rays=300)
    gap = 2 * inputs[:, 0].abs().double()
    middle, doubt = reading.figures
    assert isinstance(middle, Curve)
    assert isinstance(doubt, Curve)
    means = [torch.sigmoid(scale * gap).mean().item() for scale in (1, 3, 1000)]
    assert middle.series["through test inputs"].tolist() == pytest.approx(means, rel=1e-6)
    powers = [
        (-nn.functional.softplus(scale * gap) / math.log(10)).quantile(0.5) for scale in (1, 3, 1e3)
    ]
    found = doubt.series["through test inputs"].tolist()
    assert found == pytest.approx([power.item() for power in powers], rel=1e-5)
    assert found[-1] < -320  # below the smallest number of float64
    assert reading.parts["through test inputs"].value == pytest.approx(means[-1])


def test_a_relu_network_becomes_certain(generator):
    """The theorem: on almost every ray; confidence is far from 1 at home."""
    model = _seeded(lambda: MLP(6, (32, 32), 5))
    reading = _read(model, torch.randn(200, 6, generator=generator), scales=(1.0, 100.0, 1e4))
    curve = reading.figures[0]
    assert isinstance(curve, Curve)
    near = curve.series["through test inputs"].tolist()
    assert near[0] < 0.5 < 0.98 < near[2]
    assert near == sorted(near)
    assert reading.value > 0.99
    assert reading.parts[CERTAIN].value > 0.9
    assert reading.parts[KNOWN].value > 0.95
    assert reading.parts[LIMIT].value == 1


def test_a_network_that_normalizes_its_input_stays_as_sure_as_it_was(generator):
    model = _seeded(lambda: nn.Sequential(nn.LayerNorm(6, eps=1e-12), MLP(6, (32,), 5)))
    inputs = torch.randn(200, 6, generator=generator)
    reading = _read(model, inputs, rays=200)
    with torch.no_grad():
        truth = model(inputs).double().softmax(dim=1).amax(dim=1).mean().item()
    curve = reading.figures[0]
    assert isinstance(curve, Curve)
    for name in ("through test inputs", "through noise"):
        row = curve.series[name]
        assert torch.allclose(row, row[:1].expand_as(row), rtol=1e-5)
    assert curve.series["through test inputs"][0].item() == pytest.approx(truth, rel=1e-6)
    assert reading.parts[KNOWN].value == 1
    assert reading.parts[LIMIT].value == pytest.approx(reading.value, rel=1e-5)
    assert reading.parts[CERTAIN].value == 0


def test_a_bounded_network_ends_at_the_answer_to_the_signs(generator):
    model = _seeded(Signs)
    inputs = torch.randn(100, 6, generator=generator)
    inputs = inputs.sign() * (0.1 + inputs.abs())
    reading = _read(model, inputs, Domain((6,), torch.float32, -3.5, 3.5), rays=100)
    with torch.no_grad():
        signs = model.head(inputs.sign()).double().softmax(dim=1).amax(dim=1)
    assert reading.parts["through test inputs"].value == pytest.approx(
        signs.mean().item(), rel=1e-5
    )
    assert reading.parts[LIMIT].value == pytest.approx(reading.value, abs=0.01)
    assert reading.parts[LIMIT].value < 0.9


def test_a_curved_network_has_no_limit_that_could_be_known(generator):
    reading = _read(Squares(), torch.randn(50, 6, generator=generator), scales=(1.0, 10.0))
    assert reading.parts[KNOWN].value == 0
    assert LIMIT not in reading.parts


def test_orders_certain_bounded_and_ignorant(generator):
    inputs = torch.randn(100, 6, generator=generator)
    certain = _read(_linear(1.0), inputs)
    bounded, ignorant = _seeded(Signs), _seeded(Signs)
    for weight in ignorant.parameters():
        nn.init.zeros_(weight)
    bounded, ignorant = _read(bounded, inputs), _read(ignorant, inputs)
    assert ignorant.high < bounded.low < bounded.high < certain.low
    assert ignorant.null is not None
    assert ignorant.value == pytest.approx(ignorant.null.value)
    assert ignorant.null.value == 1 / 3


def test_renaming_classes_or_shifting_logits_changes_nothing(generator):
    inputs = torch.randn(100, 6, generator=generator)
    model = _seeded(lambda: MLP(6, (16,), 4))
    first = _read(model, inputs, scales=(1.0, 10.0))
    with torch.no_grad():
        model.head.weight.copy_(model.head.weight.flip(0) + torch.ones(4, 1))
        model.head.bias.copy_(model.head.bias.flip(0))
    assert _read(model, inputs, scales=(1.0, 10.0)).value == pytest.approx(first.value, rel=1e-5)


def test_interval_covers():
    """x uniform on [-1, 1], logits 3 x and 0: E sigmoid(3 |x|) = (log(1 + e^3) - log 2) / 3."""
    truth = (math.log1p(math.exp(3)) - math.log(2)) / 3
    generator = torch.Generator().manual_seed(1)
    domain, covered = Domain((6,), torch.float32, -1.0, 1.0), 0
    for seed in range(200):
        inputs = 2 * torch.rand(60, 6, generator=generator) - 1
        found = _read(_linear(3.0), inputs, domain, seed=seed, scales=(1.0,), rays=60)
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize(("low", "high"), [(None, None), (-5.0, 5.0)])
def test_noise_fills_the_domain_or_the_range_of_the_data(generator, low, high):
    model, inputs = Seen(), torch.rand(400, 6, generator=generator) * torch.arange(1, 7)
    _read(model, inputs, Domain((6,), torch.float32, low, high), scales=(1.0,), rays=400)
    noise = torch.cat(model.inputs[1:])[1200:1600]  # scale 1 of noise, after 3 scales of the data
    spans = inputs.aminmax(dim=0) if low is None else (torch.tensor(low), torch.tensor(high))
    for edge, found in zip(spans, noise.aminmax(dim=0), strict=True):
        reach = (spans[1] - spans[0]).expand(6)
        assert ((found - edge).abs() <= 0.04 * reach).all()  # 400 draws leave 4 % with chance e^-16
    assert (noise >= spans[0]).all()
    assert (noise <= spans[1]).all()


def test_says_that_a_range_check_stops_these_inputs(generator):
    inputs = torch.rand(20, 6, generator=generator)
    notes = _read(_linear(1.0), inputs, Domain((6,), torch.float32, 0.0, 1.0)).notes
    assert notes[1] == ("Inputs this far out leave the domain [0, 1]: check the range before use.")
    for low, scales in ((None, (1.0, 10.0)), (0.0, (1.0, 10.0)), (-1.0, (0.5, 1.0))):
        reading = _read(_linear(1.0), inputs, Domain((6,), torch.float32, low), scales=scales)
        assert len(reading.notes) == 1


def test_same_generator_same_reading_and_the_model_is_left_alone(generator):
    model = nn.Sequential(_linear(1.0), nn.Dropout(0.5)).train()
    inputs = torch.randn(100, 6, generator=generator)
    first, second, third = (_read(model, inputs, rays=50, scales=(1.0,), seed=s) for s in (1, 1, 2))
    assert first.estimate == second.estimate != third.estimate
    assert model.training
    assert model[1].training
    assert all(w.grad is None for w in model.parameters())


@pytest.mark.parametrize("scales", [(), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (-1.0,)])
def test_refuses_scales_that_do_not_increase(scales):
    with pytest.raises(ValueError, match="positive, increasing scales"):
        _read(_linear(1.0), torch.ones(5, 6), scales=scales)


def test_refuses_settings_and_inputs_that_mean_nothing():
    ones = torch.ones(5, 6)
    with pytest.raises(ValueError, match="rays >= 2 and certain"):
        _read(_linear(1.0), ones, rays=1)
    with pytest.raises(ValueError, match="rays >= 2 and certain"):
        _read(_linear(1.0), ones, certain=1.0)
    with pytest.raises(CannotMeasure, match="token numbers"):
        _read(Seen(), ones.long(), Domain((6,), torch.int64, kind="tokens"))
    with pytest.raises(CannotMeasure, match=r"whole numbers \(torch.uint8\)"):
        _read(Seen(), ones.byte(), Domain((6,), torch.uint8))
    with pytest.raises(CannotMeasure, match="one class"):
        _read(nn.Linear(6, 1), ones)


def test_refuses_where_the_output_overflows():
    with pytest.raises(CannotMeasure, match=r"not finite at 1e\+30 times an input"):
        _read(Squares(), torch.ones(5, 6), scales=(1.0, 1e30))
