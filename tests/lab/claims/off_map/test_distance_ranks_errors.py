"""Digits under corruption: distances, mistakes, and their correlation over all kinds."""

import pytest
import torch
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from offmap.lab.claims.off_map import corrupted_digits as helper
from offmap.lab.claims.off_map import distance_ranks_errors as file
from offmap.lab.claims.off_map.corrupted_digits import (
    KINDS,
    Corrupted,
    corrupted,
    error_by_tenth,
    rank,
)
from offmap.lab.data import digits
from offmap.lab.run import find


def test_the_verdict():
    assert find(["distance_ranks_errors"], scale="smoke")[0].verdict == "supported"


def test_each_corruption_does_what_it_says(generator):
    x = digits().test_inputs[:6]
    noise = KINDS["noise"](digits().test_inputs, 2, generator) - digits().test_inputs
    assert noise.std().item() == pytest.approx(0.24, rel=0.03)
    torch.testing.assert_close(KINDS["brightness"](x, 2, generator), x + 0.3)
    torch.testing.assert_close(KINDS["contrast"](x, 2, generator), 0.49 * x)
    blurred = KINDS["blur"](x, 1, generator)
    torch.testing.assert_close(blurred[0, 0, 3, 3], x[0, 0, 2:5, 2:5].mean())
    moved = KINDS["shift"](x, 1, generator)
    torch.testing.assert_close(moved[..., 1:], x[..., :-1])
    torch.testing.assert_close(KINDS["shift"](x, 4, generator)[..., 2:, :], x[..., :-2, :])
    hidden = KINDS["occlusion"](torch.ones_like(x), 3, generator)
    assert (hidden == 0).sum(dim=(1, 2, 3)).tolist() == [16] * 6
    top = (hidden == 0).any(dim=3)[:, 0].int().argmax(dim=1)
    assert bool((hidden[0, 0, top[0] : top[0] + 4] == 0).any(dim=1).all())


def test_distances_are_those_of_scikit_learn(generator, monkeypatch):
    monkeypatch.setattr(helper, "KINDS", {"brightness": KINDS["brightness"]})
    found = corrupted(epochs=1, examples=20, generator=generator)["brightness"]
    tree = NearestNeighbors(n_neighbors=1).fit(digits().inputs.flatten(1).numpy())
    near = torch.stack([
        torch.tensor(tree.kneighbors((digits().test_inputs + 0.15 * level).flatten(1).numpy())[0])
        for level in (1, 2, 3, 4)
    ])[..., 0]  # fmt: skip
    for level, found_there in enumerate(found.by_input.split(20)):
        gaps = (found_there[:, None] - near[level]).abs().amin(dim=1)
        assert gaps.max().item() < 1e-4
    assert len(found.wrong) == len(found.by_feature) == 80


def test_the_rank_is_spearmans(generator):
    distance = torch.rand(60, generator=generator, dtype=torch.double)
    wrong = torch.rand(60, generator=generator) < distance
    expected = spearmanr(distance.numpy(), wrong.numpy())[0]
    assert rank(distance, wrong) == pytest.approx(expected)
    curve = error_by_tenth("", {"": (distance, wrong)})
    nearest = wrong[distance.argsort()][:6].double().mean().item()
    assert curve.series[""][0].item() == pytest.approx(nearest)


def test_mistakes_that_do_not_go_with_distance_are_not_ranked(generator, monkeypatch):
    """The control: mistakes that fall anywhere."""
    distance = torch.rand(2000, generator=generator, dtype=torch.double)
    wrong = torch.rand(2000, generator=generator) < 0.3
    kinds = {"": Corrupted(distance, distance, wrong)}
    monkeypatch.setattr(file, "corrupted", lambda **_: kinds)
    trial = file.distance_ranks_errors(epochs=1, examples=1, generator=generator)
    assert abs(trial.effect) < 4 / 2000**0.5 < 0.15
    assert trial.parts["error, pooled"] == pytest.approx(0.3, abs=0.05)
