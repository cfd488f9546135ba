import pytest
import torch
from torch import nn

from offmap.lab.claims.off_map.subspace import World, attack, margins, normal_first, train, world
from offmap.models.mlp import MLP


class Step(nn.Module):
    """A teacher that adds the coordinates up."""

    def forward(self, x):
        return x.sum(dim=1, keepdim=True)


def plain(dimension=4):
    """Classes by the sign of the first coordinate; the subspace is the first two axes."""
    return World(torch.eye(dimension)[:2], nn.Linear(2, 1).double(), torch.tensor(0.0).double())


def linear(weights):
    model = nn.Linear(4, 2, bias=False)
    model.weight = nn.Parameter(torch.stack([-torch.tensor(weights), torch.tensor(weights)]) / 2)
    return model


def place_by_first():
    place = plain()
    place.teacher.weight = nn.Parameter(torch.tensor([[1.0, 0.0]]).double())
    place.teacher.bias = nn.Parameter(torch.zeros(1).double())
    return place


def test_points_lie_in_the_subspace_and_classes_are_balanced(generator):
    place = world(5, 40, generator)
    split = place.draw(4000, generator)
    assert place.off(split.inputs).abs().max() < 1e-5
    assert split.targets.double().mean().item() == pytest.approx(0.5, abs=0.06)
    elsewhere = split.inputs + place.off(torch.randn(4000, 40, generator=generator))
    assert torch.equal(place.classes(elsewhere), split.targets)


def test_parts_are_orthogonal_and_add_up(generator):
    place = world(3, 10, generator)
    vectors = torch.randn(7, 10, generator=generator)
    on, off = place.along(vectors), place.off(vectors)
    torch.testing.assert_close(on + off, vectors)
    assert (on * off).sum(dim=1).abs().max() < 1e-5


def test_attack_on_a_linear_model_goes_along_its_weights():
    """Its margin is w.x: the best change of length r is -r w / |w|."""
    model, place = linear([1.0, 0.0, 2.0, 0.0]), place_by_first()
    point = torch.tensor([[0.5, 0.3, 0.0, 0.0]])
    change, met = attack(model, place, point, 0.4, lambda slope: slope)
    torch.testing.assert_close(change, -0.4 * torch.tensor([[1.0, 0, 2, 0]]) / 5**0.5)
    assert met.tolist() == [True]  # margin 0.5 - 0.4 sqrt 5 < 0, first coordinate still positive
    change, met = attack(model, place, point, 0.4, place.off)
    torch.testing.assert_close(change, torch.tensor([[0.0, 0, -0.4, 0]]))
    assert met.tolist() == [True]
    change, met = attack(model, place, point, 0.4, place.along)
    torch.testing.assert_close(change, torch.tensor([[-0.4, 0.0, 0, 0]]))
    assert met.tolist() == [False]


def test_a_change_of_the_true_class_is_no_error():
    """Along the subspace the network errs nowhere: it is the teacher."""
    model, place = linear([1.0, 0.0, 0.0, 0.0]), place_by_first()
    change, met = attack(model, place, torch.tensor([[0.1, 0.0, 0, 0]]), 0.4, place.along)
    assert change[0, 0].item() == pytest.approx(-0.4)
    assert not met.any()


def test_margins():
    points = torch.tensor([[1.0, 0, 0, 0], [-2.0, 0, 0, 0]])
    found = margins(linear([3.0, 0, 0, 0]), points, torch.tensor([1, 1]))
    torch.testing.assert_close(found, torch.tensor([3.0, -6.0]))


def test_first_weights_are_normal_with_torchs_variance():
    weight = next(normal_first(MLP(300, (300, 5), 2)).parameters())
    usual = next(MLP(300, (300, 5), 2).parameters())
    assert (weight.std() / usual.std()).item() == pytest.approx(1, abs=0.02)
    assert weight.abs().max() > 3 * weight.std()


def test_sgd_never_moves_the_weights_off_the_subspace_and_adam_does(generator):
    """With the same seeds, trained and untrained networks have the same weights there."""
    place, state = world(3, 20, generator), generator.get_state()
    off = {}
    for optimizer, updates in (("SGD", 0), ("SGD", 40), ("Adam", 40)):
        generator.set_state(state)
        model = train([place], [64], 16, updates, optimizer, generator)[0]
        off[optimizer, updates] = place.off(next(model.parameters()))
    torch.testing.assert_close(off["SGD", 40], off["SGD", 0], rtol=0, atol=1e-5)
    assert (off["Adam", 40] - off["SGD", 0]).abs().max() > 0.01


def test_small_samples_are_repeated_not_extended(generator):
    """A network that saw twenty points only fits those; the other world's saw all of its points."""
    place = world(3, 20, generator)
    few, many = train([place, place], [20, 640], 32, 150, "Adam", generator)
    test = place.draw(1000, generator)
    wrong = [(m(test.inputs).argmax(dim=1) != test.targets).double().mean() for m in (few, many)]
    assert wrong[0] > 1.5 * wrong[1]
