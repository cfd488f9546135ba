import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import nn

from offmap.lab.claims.interpolation.pictures import components, drawn, learned, sets, wrong
from offmap.lab.data import digits


def test_pictures_are_drawn_once_each_and_keep_their_class(generator):
    images = digits()
    found = drawn(images, 1400, 397, generator=generator)
    pool = {
        (tuple(row), int(target))
        for inputs, targets in (
            (images.inputs, images.targets), (images.test_inputs, images.test_targets)
        )
        for row, target in zip(inputs.flatten(1).tolist(), targets, strict=True)
    }  # fmt: skip
    rows = [
        (tuple(row), int(target))
        for inputs, targets in ((found.train, found.targets), (found.test, found.test_targets))
        for row, target in zip(inputs.tolist(), targets, strict=True)
    ]
    assert len(rows) == 1797
    assert set(rows) == pool  # scikit-learn's digits are all different
    assert not torch.equal(found.train, drawn(images, 1400, 397, generator=generator).train)


def test_sets_add_what_was_given(generator):
    few = digits()
    found = sets({"other": few}, {"digits": (10, 5), "other": (7, 3)}, generator=generator)
    assert {name: len(some.train) for name, some in found.items()} == {"digits": 10, "other": 7}


def test_components_are_those_of_scikit_learn(generator):
    found = drawn(digits(), 300, 50, generator=generator)
    points, queries = components(found.train, found.test, 5, generator=generator)
    peer = PCA(5, whiten=True).fit(found.train.double().numpy())
    for mine, rows in ((points, found.train), (queries, found.test)):
        theirs = peer.transform(rows.double().numpy())
        scale = np.abs(mine.numpy()).mean(0) / np.abs(theirs).mean(0)  # n or n - 1
        np.testing.assert_allclose(
            np.abs(mine.numpy()), np.abs(theirs) * scale, atol=1e-6, rtol=1e-6
        )
        np.testing.assert_allclose(scale, 1, atol=0.01)


def test_a_network_learns_and_its_mistakes_are_counted(generator):
    found = drawn(digits(), 600, 100, generator=generator)
    model = learned(found, hidden=(32,), epochs=12, generator=generator)
    mistakes = wrong(model, found.train, found.targets)
    assert mistakes.double().mean() < 0.05
    guesses = [int(model(row[None]).argmax()) for row in found.train[:50]]
    assert mistakes[:50].tolist() == [
        guess != int(target) for guess, target in zip(guesses, found.targets, strict=False)
    ]
    untrained = nn.Linear(64, 10)
    assert wrong(untrained, found.train, found.targets).double().mean() > 0.5
