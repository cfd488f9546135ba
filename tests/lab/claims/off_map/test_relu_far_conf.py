import torch

from offmap.lab.claims.off_map.sure_digits import answers
from offmap.lab.run import find
from offmap.models.mlp import MLP
from offmap.numerics.certainty import log_doubt


def test_smoke_verdict():
    finding = find(["relu_far_conf"], scale="smoke")[0]
    assert finding.verdict == "supported"
    near, far = (finding.parts[f"confidence at {a} times"].value for a in ("1", "1000"))
    assert near < 0.95 < far  # it is scale that makes it sure
    assert finding.parts["accuracy"].low > 0.9


def test_confidence_is_the_largest_probability(generator):
    net = MLP(6, (8,), 4).double()
    x = torch.randn(20, 6, generator=generator, dtype=torch.double)
    logits = answers([net], x)[0]
    shares = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(-log_doubt(logits).expm1(), shares.amax(dim=1))
    assert log_doubt(10 * logits.new_tensor([[0.0, 100.0]])).item() == -1000.0  # no saturation


def test_a_network_that_is_constant_along_rays_would_refute_it(generator):
    """The control: without growth there is no certainty."""
    net = MLP(6, (8,), 4).double()
    x = torch.randn(20, 6, generator=generator, dtype=torch.double)
    x = x / x.norm(dim=1, keepdim=True)
    far = 1000 * x
    logits = answers([net], far / far.norm(dim=1, keepdim=True))[0]
    assert (-log_doubt(logits).expm1()).mean() < 0.999
