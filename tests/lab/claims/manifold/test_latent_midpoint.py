"""Midpoints of codes and of pixels, and their distance to the data."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from offmap.lab.claims.manifold import midpoints
from offmap.lab.claims.manifold.latent_midpoint import latent_midpoint
from offmap.lab.claims.manifold.midpoints import CODES, PIXELS, REAL, REBUILT_PIXELS, distances
from offmap.lab.data import Images, digits
from offmap.lab.run import find
from offmap.models.autoencoder import Autoencoder


def test_the_verdict():
    assert find(["latent_midpoint"], scale="smoke")[0].verdict == "supported"


def test_distances_are_those_of_scikit_learn_and_real_pairs(generator):
    train, test = digits().inputs[:300], digits().test_inputs[:1].expand(5, -1, -1, -1)
    found = distances(train, test, code=2, epochs=1, pairs=10, generator=generator)
    tree = NearestNeighbors(n_neighbors=1).fit(train.flatten(1).numpy())
    expected, _ = tree.kneighbors(test[:1].flatten(1).numpy())
    for kind in (REAL, PIXELS):  # all pairs are of one picture, which is its own midpoint
        assert found[kind].tolist() == pytest.approx([expected.item()] * 10, rel=1e-5)
    assert found[CODES].std().item() < 1e-6


class Linear(Autoencoder):
    """Keeps the first pixels as they are, with biases: midpoints of codes are those of pixels."""

    def __init__(self, shape, code):
        super().__init__(shape, code)
        size = self.head.out_features
        self.encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(size, code))
        self.decoder = torch.nn.Sequential(torch.nn.Linear(code, code))
        self.head = torch.nn.Linear(code, size)


def test_linear_codes_gain_nothing(generator, monkeypatch):
    """The control: where the decoder is straight, decoded midpoints are midpoints of decodings."""
    monkeypatch.setattr(midpoints, "Autoencoder", Linear)
    found = distances(
        digits().inputs[:300], digits().test_inputs, code=4, epochs=2, pairs=50,
        generator=generator,
    )  # fmt: skip
    torch.testing.assert_close(found[CODES], found[REBUILT_PIXELS], rtol=1e-4, atol=1e-4)


def test_a_public_set_takes_the_place_of_digits(generator):
    noise = torch.rand(80, 1, 5, 5, generator=generator)
    classes = torch.zeros(80, dtype=torch.int64)
    data = {"mnist": Images(noise[:60], classes[:60], noise[60:], classes[60:])}
    trial = latent_midpoint(n=50, codes=(2, 3), epochs=1, pairs=20, data=data, generator=generator)
    assert trial.effect > 0
    assert "code of 3: midpoints of codes" in trial.parts
