import torch

from offmap.lab.claims.symbolic.networks import first_layer
from offmap.lab.claims.symbolic.subspace import departure, still, train, world
from offmap.lab.run import find
from offmap.numerics.span import span_of
from offmap.run import Split


def sgd(**settings):
    return lambda weights: torch.optim.SGD(weights, lr=0.05, **settings)


def test_smoke_verdict():
    finding = find(["frozen_offspan_subspace"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["change of all weights, relative"].low > 0.01


def test_the_part_is_what_a_projection_of_weights_and_bias_together_gives(generator):
    split = world(12, 3, generator=generator)
    found = train(split, sgd(), 5, 1, generator)
    layer = first_layer(found.after[0])
    rows = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach()
    data = torch.cat([split.inputs, torch.ones(len(split), 1, dtype=torch.double)], dim=1)
    axes = torch.linalg.svd(data, full_matrices=False).Vh[:4]  # the plane and its center
    part = still(span_of([split.inputs]), found.after[0])
    torch.testing.assert_close(part, rows - rows @ axes.T @ axes)


def test_the_law_under_weight_decay_counts_steps(generator):
    split = world(12, 3, generator=generator)
    found = train(split, sgd(weight_decay=0.1), 20, 1, generator)
    assert departure(found, (1 - 0.05 * 0.1) ** 20) < 1e-12
    assert departure(found, (1 - 0.05 * 0.1) ** 21) > 1e-3


def test_data_that_leave_the_plane_move_what_was_off_it(generator):
    """The control: training on other data than those whose span is looked at."""
    split = world(12, 3, generator=generator)
    noise = 0.1 * torch.randn(len(split), 12, generator=generator, dtype=torch.double)
    found = train(Split(split.inputs + noise, split.targets), sgd(), 20, 1, generator)
    assert departure(found._replace(split=split)) > 1e-4
