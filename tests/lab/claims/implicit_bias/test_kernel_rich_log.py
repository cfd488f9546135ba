import numpy as np

from offmap.lab.claims.implicit_bias.diagonal import smallest
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["kernel_rich_log"], scale="smoke")[0].verdict == "refuted"


def test_without_slack_nothing_is_chosen_however_small_the_start():
    """Of three equal inputs any mixture is smallest; of almost equal ones, the power is zero."""
    x, y = np.array([[1.0, 1.0 - 1e-9, 1.0 - 1e-9]]), np.array([1.0])
    for fit in smallest(x, y, [-5.0, -50.0]):
        np.testing.assert_allclose(fit, 1 / 3, atol=1e-6)
    x[0, 1:] = 0.5  # the control: with slack, the larger input is
    np.testing.assert_allclose(smallest(x, y, [-50.0])[0], [1, 0, 0], atol=1e-12)
