import numpy as np
import pytest
import torch

from offmap.lab import data
from offmap.lab.claims.capacity.double_descent_rf_digits import height, sweep
from offmap.lab.claims.capacity.least_squares import normal
from offmap.lab.run import find


def test_verdict():
    found = find(["double_descent_rf_digits"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert 0.95 <= found.parts["features at the peak / n"].value <= 1.1


def test_errors_are_those_of_the_pseudoinverse():
    found = sweep(40, (0.5, 1.0, 4.0), 0.0, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)  # the same draws again, in the same order
    images = data.digits()
    rows = torch.randperm(1200, generator=generator)[:40]
    torch.randint(1, 10, (40,), generator=generator)
    torch.rand(40, generator=generator)
    x, test = (part.flatten(1).double().numpy() for part in (images.inputs, images.test_inputs))
    for place, width in enumerate((20, 40, 160)):
        weights = normal(64, width, generator=generator).numpy()
        features = np.maximum(x[rows] @ weights, 0)
        fit = np.linalg.pinv(features, rcond=1e-10) @ np.eye(10)[images.targets[rows]]
        answers = (np.maximum(test @ weights, 0) @ fit).argmax(1)
        assert found.error[place].item() == pytest.approx(
            np.mean(answers != images.test_targets.numpy()), abs=0.01
        )
        assert found.rank[place] == np.linalg.matrix_rank(features, rtol=1e-10)


def test_wrong_labels_are_another_class():
    """Learned from right labels alone, digits are told; from wrong labels alone, never."""
    generator = torch.Generator().manual_seed(0)
    calm, loud = (sweep(400, (16.0,), wrong, generator).error for wrong in (0.0, 1.0))
    assert calm.item() < 0.1
    assert loud.item() > 0.9


def test_height():
    shares = (0.05, 0.25, 0.95, 1.0, 1.05, 1.1, 16.0)
    errors = torch.tensor([0.9, 0.2, 0.5, 0.6, 0.8, 0.7, 0.1], dtype=torch.double)
    assert height(errors, shares) == pytest.approx(4.0)
