import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from offmap.lab import data
from offmap.lab.claims.off_map.outlier_exposure import (
    FAR,
    NEAR,
    NOISE,
    accuracy,
    doubt,
    inverted,
    mixture,
    passing,
    permuted,
    soft_cross_entropy,
    splice,
    train,
    uniform,
)

IMAGES = data.digits()
DIGITS = (IMAGES.inputs.flatten(1), IMAGES.targets)


@pytest.mark.parametrize("family", [*FAR, *NEAR])
def test_outliers_are_pictures_of_the_range_of_digits(family, generator):
    made = family(DIGITS, 50, generator)
    assert made.shape == (50, 64)
    assert 0 <= made.min() <= made.max() <= 1
    assert not (made[:, None] == DIGITS[0]).all(dim=2).any()  # none is a digit


def test_permuted_digits_have_the_pixels_of_a_digit(generator):
    made = permuted(DIGITS, 20, generator).sort(dim=1).values
    pixels = DIGITS[0].sort(dim=1).values
    assert all((pixels == row).all(dim=1).any() for row in made)


def test_inverted_digits_are_digits_inverted(generator):
    assert all((DIGITS[0] == 1 - row).all(dim=1).any() for row in inverted(DIGITS, 20, generator))


def test_fakes_are_of_two_digits_of_different_classes(generator):
    """On pictures that show nothing but their class."""
    classes = torch.arange(30) % 10
    flat = classes[:, None].expand(30, 64) / 16
    halves = splice((flat, classes), 200, generator)
    top, bottom = halves[:, :32], halves[:, 32:]
    assert (top == top[:, :1]).all()
    assert (bottom == bottom[:, :1]).all()
    assert (top[:, 0] != bottom[:, 0]).all()
    means = mixture((flat, classes), 200, generator)
    assert ((means[:, 0] * 32).round() > 0).all()  # 0 + 0 never happens


def test_loss_is_cross_entropy_plus_half_the_divergence_from_uniform(generator):
    """Up to the entropy of the uniform law, as Hendrycks et al. write it."""
    scores = torch.randn(6, 10, generator=generator)
    classes = torch.randint(10, (3,), generator=generator)
    targets = torch.cat([nn.functional.one_hot(classes, 10), torch.full((3, 10), 0.05)])
    even = torch.full((3, 10), 0.1)
    apart = kl_div(scores[3:].log_softmax(1), even, reduction="batchmean")
    expected = (cross_entropy(scores[:3], classes) + 0.5 * (apart + np.log(10))) / 2
    torch.testing.assert_close(soft_cross_entropy(scores, targets), expected)


def test_passing_is_what_scikit_learn_says(generator):
    """A model that knows nothing: some outliers pass, some do not."""
    model, state = nn.Linear(64, 10), generator.get_state()
    found = passing(model, (uniform,), generator)["uniform"]
    generator.set_state(state)
    test = IMAGES.test_inputs.flatten(1)
    strange = doubt(model, uniform((test, IMAGES.test_targets), 500, generator))
    scores = torch.cat([doubt(model, test), strange])
    kind = np.r_[np.zeros(len(test)), np.ones(500)]
    alarms, hits, _ = roc_curve(kind, scores, drop_intermediate=False)
    assert found == pytest.approx(1 - hits[alarms <= 0.05].max())


def test_exposed_networks_are_unsure_of_what_they_were_shown_and_still_read_digits(generator):
    alone, exposed = train([(), NOISE], 8, 200, generator)
    noise = uniform(DIGITS, 200, generator)
    assert doubt(exposed, noise).mean() > 0.7
    assert doubt(alone, noise).mean() < 0.7
    assert min(accuracy(alone), accuracy(exposed)) > 0.9
