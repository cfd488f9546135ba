import math

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.figures import Bars, Matrix
from offmap.inputs import ClassPredictions
from offmap.measures.strong_generalization.noise_answers import noise_answers
from offmap.run import Domain, Split

UNIT = Domain((3, 4, 4), torch.float32, 0.0, 1.0, "image")
FAMILIES = ("uniform", "Gaussian", "permuted", "constant")


class Seen(nn.Module):
    """Keeps what it is given; answers class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inputs.append(x)
        return torch.tensor([1.0, 0.0]).expand(len(x), 2)


class Sure(nn.Module):
    """Gives `logit` to one class of ten: `fixed`, or the tenth that the first pixel is in."""

    def __init__(self, logit: float, fixed: int | None = None) -> None:
        super().__init__()
        self.logit, self.fixed = logit, fixed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tenth = (10 * x.flatten(1)[:, 0]).long().clamp(0, 9)
        said = tenth if self.fixed is None else torch.full_like(tenth, self.fixed)
        return self.logit * nn.functional.one_hot(said, 10).float()


class Below(nn.Module):
    """Class 1 where the first number is above 0.25, with logit gap 4 times the distance."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gap = 4 * (x.flatten(1)[:, 0] - 0.25)
        return torch.stack([-gap / 2, gap / 2], dim=1)


def _images(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(n, 3, 4, 4, generator=generator) ** 2


def _read(model, inputs, domain=UNIT, seed: int = 7, **settings):
    split = Split(inputs, torch.zeros(len(inputs), dtype=torch.long), name="test")
    with torch.no_grad():
        predictions = ClassPredictions(model(inputs), split.targets)
    generator = torch.Generator().manual_seed(seed)
    return noise_answers(model, split, predictions, domain, generator=generator, **settings)


def _families(inputs, domain, examples: int) -> dict[str, torch.Tensor]:
    model = Seen()
    _read(model, inputs, domain, examples=examples)
    drawn = torch.cat(model.inputs[1:])
    return dict(zip(FAMILIES, drawn.split(examples), strict=True))


def test_families_are_what_they_are_called(generator):
    images = _images(200, generator)
    seen = _families(images, UNIT, 200)
    uniform, count = seen["uniform"], 200 * 48
    assert abs(uniform.mean().item() - 0.5) < 4 / math.sqrt(12 * count)
    assert abs(uniform.var().item() - 1 / 12) < 4 * math.sqrt(1 / 180 / count)
    constant = seen["constant"].flatten(1)
    assert (constant == constant[:, :1]).all()
    assert abs(constant[:, 0].mean().item() - 0.5) < 4 / math.sqrt(12 * 200)
    assert len(constant[:, 0].unique()) == 200
    permuted = seen["permuted"].flatten(2)
    original = images.flatten(2)
    for one, other in zip(permuted, original, strict=True):  # the same columns in another order
        assert torch.equal(_ordered(one), _ordered(other))
    assert (permuted != original).any(dim=(1, 2)).all()


def _ordered(columns: torch.Tensor) -> torch.Tensor:
    """Columns [channels, positions] in lexicographic order (the first channel has no ties)."""
    return columns[:, columns[0].argsort()]


def test_gaussian_noise_has_the_moments_of_the_data(generator):
    """By coordinate of a vector, by channel of an image."""
    vectors = 3 + torch.randn(500, 2, generator=generator) * torch.tensor([0.1, 10.0])
    drawn = _families(vectors, Domain((2,), torch.float32), 500)["Gaussian"]
    for k, spread in enumerate((0.1, 10.0)):
        assert abs(drawn[:, k].mean() - vectors[:, k].mean()) < 4 * 1.1 * spread / math.sqrt(500)
        assert drawn[:, k].std().item() == pytest.approx(vectors[:, k].std().item(), rel=0.13)
    images = torch.randn(100, 3, 4, 4, generator=generator)
    images = images * torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)
    images[:, :, 0] += 9
    drawn = _families(images, Domain((3, 4, 4), torch.float32, kind="image"), 100)["Gaussian"]
    for k in range(3):
        assert drawn[:, k].std().item() == pytest.approx(images[:, k].std().item(), rel=0.1)
        assert drawn[:, k, 0].mean().item() == pytest.approx(images[:, k].mean().item(), rel=0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_noise_stays_within_the_domain_and_its_type(generator, dtype):
    images = (255 * _images(60, generator)).to(dtype)
    seen = _families(images, Domain((3, 4, 4), dtype, 0.0, 255.0, "image"), 60)
    for drawn in seen.values():
        assert drawn.dtype == dtype
        assert drawn.min() >= 0
        assert drawn.max() <= 255
    assert seen["Gaussian"].min() == 0  # clipped, or it would be below somewhere
    assert seen["uniform"].double().std().item() == pytest.approx(255 / math.sqrt(12), rel=0.05)


def test_confidence_has_the_closed_form_of_one_class_that_is_sure(generator):
    reading = _read(Sure(3.0, fixed=4), _images(50, generator), examples=40)
    truth = math.exp(3) / (math.exp(3) + 9)
    assert reading.value == pytest.approx(truth)
    for name in (*FAMILIES, "test"):
        assert reading.parts[f"{name}: confidence"].value == pytest.approx(truth)
        assert reading.parts[f"{name}: above 0.9"].value == 0
    for name in FAMILIES:
        assert reading.parts[f"{name}: in the 3 commonest classes"].value == 1
    bars, matrix = reading.figures
    assert isinstance(bars, Bars)
    assert tuple(bars.values) == (*FAMILIES, "test")
    assert isinstance(matrix, Matrix)
    assert torch.equal(matrix.values, nn.functional.one_hot(torch.full((4,), 4), 10).double())
    assert reading.notes[0] == "uniform: taken for class 4 100 % of the time."
    sure = _read(Sure(3.0, fixed=4), _images(50, generator), examples=40, sure=0.5)
    assert sure.parts["uniform: above 0.5"].value == 1


def test_commonest_classes_of_a_network_without_preference_are_no_more_than_their_number(generator):
    """Each tenth of the first pixel's range is a class: uniform noise takes 3 of 10 three times.

    Counted where they were chosen, the commonest of 200 answers would be 0.37 of them.
    """
    images = _images(20, generator)
    readings = [_read(Sure(1.0), images, seed=seed, examples=400) for seed in range(25)]
    found = [r.parts["uniform: in the 3 commonest classes"].value for r in readings]
    error = math.sqrt(0.3 * 0.7 / 200 / 25)
    assert abs(sum(found) / 25 - 0.3) < 4 * error


def test_orders_ignorant_wavering_and_collapsed(generator):
    images = _images(100, generator)
    ignorant, wavering, collapsed = (
        _read(model, images, examples=100) for model in (Sure(0.0), Below(), Sure(9.0, fixed=1))
    )
    assert ignorant.null is not None
    assert ignorant.value == pytest.approx(ignorant.null.value)
    assert ignorant.high < wavering.low < wavering.high < collapsed.low


def test_intervals_cover():
    """Uniform noise, two classes: 3/4 of it is above 0.25; confidence by an integral."""
    x = (torch.arange(200_000, dtype=torch.double) + 0.5) / 200_000
    truth = torch.sigmoid(4 * (x - 0.25).abs()).mean().item()
    generator, confident, commonest = torch.Generator().manual_seed(3), 0, 0
    for seed in range(200):
        images = torch.rand(10, 3, 4, 4, generator=generator)
        reading = _read(Below(), images, seed=seed, examples=80)
        found = reading.parts["uniform: confidence"]
        confident += found.low <= truth <= found.high
        found = reading.parts["uniform: in the 1 commonest classes"]
        commonest += found.low <= 0.75 <= found.high
    assert 0.90 <= confident / 200 <= 0.99
    assert 0.90 <= commonest / 200 <= 0.99


def test_renaming_classes_changes_nothing(generator):
    class Renamed(Below):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).flip(1)

    images = _images(30, generator)
    one, other = _read(Below(), images, examples=50), _read(Renamed(), images, examples=50)
    assert one.estimate == other.estimate
    assert dict(one.parts) == dict(other.parts)


def test_same_generator_same_reading_and_the_model_is_left_alone(generator):
    model = nn.Sequential(Below(), nn.Dropout(0.5)).train()
    images = _images(30, generator)
    first, second, third = (_read(model, images, examples=20, seed=s) for s in (1, 1, 2))
    assert first.estimate == second.estimate != third.estimate
    assert model.training
    assert model[1].training


def test_refuses_settings_and_inputs_that_mean_nothing(generator):
    images = _images(5, generator)
    with pytest.raises(ValueError, match="examples >= 4 and sure"):
        _read(Below(), images, examples=3)
    with pytest.raises(ValueError, match="examples >= 4 and sure"):
        _read(Below(), images, sure=0.0)
    with pytest.raises(CannotMeasure, match="token numbers"):
        tokens = torch.zeros(5, 4, dtype=torch.long)
        _read(Seen(), tokens, Domain((4,), torch.int64, kind="tokens"))
