import numpy as np

from offmap.lab.claim import claims
from offmap.lab.claims.interpolation.boosting_in_range import boosting_in_range
from offmap.lab.run import find


def test_verdict():
    found = find(["boosting_in_range"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_two_stumps_leave_the_range_by_hand():
    """Three corners of a square: an additive fit puts the fourth above them all."""
    x = np.array([[0, 0], [1, 0], [0, 1]])
    y = x.sum(axis=1).astype(float)
    answer = np.full(3, y.mean())
    fourth = y.mean()
    for _ in range(200):
        for axis in (0, 1):
            step = [0.1 * (y - answer)[x[:, axis] == side].mean() for side in (0, 1)]
            answer = answer + np.where(x[:, axis] == 1, step[1], step[0])
            fourth += step[1]
    np.testing.assert_allclose(answer, y, atol=1e-3)
    assert fourth > 1.9


def test_one_tree_and_forests_stay(generator):
    trial = boosting_in_range(examples=50, trees=1, depth=1, generator=generator)
    assert trial.effect == 0
    assert trial.parts["forest: beyond the range"] == 0
