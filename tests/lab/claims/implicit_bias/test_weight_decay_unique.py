import numpy as np

from offmap.lab.claims.implicit_bias.savarese_unique import draw, spread
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["weight_decay_unique"], scale="smoke")[0].verdict == "refuted"


def test_it_is_true_where_turns_alternate():
    rng = np.random.default_rng(0)
    assert spread(*draw(5, True, rng), 3, rng) < 1e-6
