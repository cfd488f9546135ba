import torch

from offmap.lab.claim import claims
from offmap.lab.claims.symbolic.subspace import departure, train, world
from offmap.lab.run import find
from offmap.run import Split


def test_smoke_verdict():
    finding = find(["adam_frozen_offspan"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.estimate.low > 0.01
    assert finding.parts["gradient descent"].high < 1e-9  # the control
    assert claims()["adam_frozen_offspan"].corrected == "frozen_offspan_subspace"


def test_on_a_plane_along_the_axes_adam_leaves_it_too(generator):
    split = world(12, 12, generator=generator)
    flat = split.inputs.clone()
    flat[:, 4:] = 0
    adam = train(
        Split(flat, split.targets),
        lambda weights: torch.optim.Adam(weights, lr=1e-3), 20, 1, generator,
    )  # fmt: skip
    assert departure(adam) < 1e-12
