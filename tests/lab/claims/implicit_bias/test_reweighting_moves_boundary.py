import torch

from offmap.lab.claims.implicit_bias.reweighting import angle, descend, separable, weightings
from offmap.lab.run import find


def test_verdict():
    """Refuted at the end of training, true of its beginning."""
    found = find(["reweighting_moves_boundary"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.parts["degrees after 10 steps"].low > 5


def test_control_where_nothing_separates_the_weights_stay(generator):
    """The claim is true there: the weighted loss has a minimizer, and it depends on them."""
    signed = separable(60, 10, generator)
    path = descend(signed, weightings(60, generator)[:2], torch.tensor([1000, 4000]))
    torch.testing.assert_close(path[0], path[1], rtol=1e-4, atol=1e-4)
    assert angle(path[1, 0], path[1, 1]) > 5
