import numpy as np

from offmap.lab.claims.implicit_bias.diagonal import smallest
from offmap.lab.run import find


def test_smoke_verdict_and_the_two_ends():
    finding = find(["kernel_rich_diagonal"], scale="smoke")[0]
    assert finding.verdict == "supported"
    parts = finding.parts
    assert parts["alpha 2: excess l2"].high < 1e-3 < parts["alpha 0.001: excess l2"].low
    assert parts["alpha 0.001: excess l1"].high < 0.05 < parts["alpha 2: excess l1"].low


def test_large_steps_end_elsewhere():
    """Descent with steps that are not small leaves the law: it is one of the flow."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 40))
    y = x[:, :3] @ rng.standard_normal(3)
    fit = smallest(x, y, [np.log(0.1)])[0]

    def gap(rate):
        u = v = np.full(40, 0.1)
        for _ in range(int(20 / rate)):
            gradient = x.T @ (x @ (u**2 - v**2) - y)
            u, v = u - 2 * rate * u * gradient, v + 2 * rate * v * gradient
        return np.linalg.norm(u**2 - v**2 - fit) / np.linalg.norm(fit)

    coarse, fine = gap(3e-3), gap(3e-4)
    assert coarse > 1e-4
    assert 5 < coarse / fine < 20  # first order in the step
