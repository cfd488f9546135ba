import torch
from torch import nn

from offmap.lab.claims.off_map.sure_digits import answers, classifiers
from offmap.lab.data import digits


def test_networks_learn_digits_and_differ(generator):
    known = classifiers((32,), 8, 2, generator=generator)
    assert known.accuracy > 0.85
    assert torch.equal(known.test, digits().test_inputs.flatten(1))
    first, second = (net.state_dict()["head.weight"] for net in known.networks)
    assert not torch.equal(first, second)
    hits = answers(known.networks, known.test).argmax(dim=2) == digits().test_targets
    assert abs(hits.double().mean().item() - known.accuracy) < 1e-9


def test_before_training_accuracy_is_chance(generator):
    assert classifiers((32,), 0, 4, generator=generator).accuracy < 0.3


def test_what_is_built_is_trained(generator):
    known = classifiers((), 3, 2, build=lambda: nn.Linear(64, 10), generator=generator)
    assert all(isinstance(net, nn.Linear) for net in known.networks)
