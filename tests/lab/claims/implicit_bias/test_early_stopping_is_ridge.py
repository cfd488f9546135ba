import numpy as np
import torch
from scipy.optimize import minimize_scalar

from offmap.lab.claims.implicit_bias.early_stopping_is_ridge import nearest_ridge
from offmap.lab.run import find
from offmap.lab.worlds import gaussian

TIMES = torch.logspace(-1, 1, 5, dtype=torch.double)


def test_smoke_verdict():
    assert find(["early_stopping_is_ridge"], scale="smoke")[0].verdict == "refuted"


def test_it_is_true_where_all_eigenvalues_are_equal(generator):
    x = torch.linalg.qr(gaussian(30, 6, generator=generator)).Q * 30**0.5
    gap, penalty = nearest_ridge(x, gaussian(1, 30, generator=generator)[0], TIMES, 20000)
    assert gap.max() < 1e-3  # the step of the grid of penalties
    torch.testing.assert_close(penalty, 1 / torch.expm1(TIMES), rtol=2e-3, atol=0.0)


def test_the_distance_is_that_of_a_search(generator):
    x = gaussian(25, 4, generator=generator) * torch.tensor([3.0, 1.0, 0.3, 0.1])
    y = gaussian(1, 25, generator=generator)[0]
    gap, _ = nearest_ridge(x, y, TIMES, 20000)
    s, v = np.linalg.eigh((x.T @ x / 25).numpy())
    flow = [v @ ((1 - np.exp(-t * s)) / s * (v.T @ (x.T @ y / 25).numpy())) for t in TIMES.numpy()]

    def distance(log_penalty, b):
        ridge = np.linalg.solve(
            (x.T @ x).numpy() + 25 * np.exp(log_penalty) * np.eye(4), (x.T @ y).numpy()
        )
        return np.linalg.norm(b - ridge) / np.linalg.norm(b)

    for b, mine in zip(flow, gap, strict=True):
        found = minimize_scalar(lambda at, b=b: distance(at, b), bounds=(-8, 4), method="bounded")
        assert abs(found.fun - mine.item()) < 1e-3
