"""Training many arms at once, against torch's own modules and optimizers, one at a time."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from offmap.lab.claims.capacity import training as module
from offmap.lab.claims.capacity.arms import Arm, draw
from offmap.lab.claims.capacity.disturbance import Settings, disturbed
from offmap.lab.claims.capacity.training import accuracy, adam, forward, train
from offmap.lab.data import digits
from offmap.train import Diverged

N, REPEATS, HIDDEN = 30, 2, (7, 5)
RULE = adam(0.01)
STILL = partial(torch.optim.SGD, lr=0.0)


def trained(*arms: Arm, rule=RULE, epochs: int = 4, **changes):
    """All examples in every update: what comes out does not depend on their order."""
    generator = torch.Generator().manual_seed(1)
    problem = draw(N, REPEATS, generator=generator)
    given = {"hidden": HIDDEN, "epochs": epochs, "batch_size": N, "rule": rule} | changes
    return problem, train(problem, arms, generator=generator, **given)


def module_of(networks, place: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias in networks.layers:
        linear = nn.Linear(*weight.shape[1:])
        linear.weight.data, linear.bias.data = weight[place].T.clone(), bias[place, 0].clone()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_each_network_is_what_torch_trains(decay):
    problem, start = trained(Arm(), Arm(decay=decay), rule=STILL)
    _, networks = trained(Arm(), Arm(decay=decay))
    for place in range(REPEATS):
        model = module_of(start, REPEATS + place)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=decay)
        for _ in range(4):
            optimizer.zero_grad()
            loss = cross_entropy(model(problem.inputs[place]), problem.targets[place])
            loss.backward()
            optimizer.step()
        answers = forward(networks.layers, problem.inputs.repeat(2, 1, 1))[REPEATS + place]
        torch.testing.assert_close(answers, model(problem.inputs[place]), atol=1e-4, rtol=1e-4)
        right = (model(problem.test_inputs).argmax(dim=1) == problem.test_targets).float().mean()
        torch.testing.assert_close(accuracy(networks, problem)[1, place], right)
        now = cross_entropy(model(problem.inputs[place]), problem.targets[place])
        torch.testing.assert_close(networks.losses[-1, 1, place], now, atol=1e-4, rtol=1e-4)


def test_what_arms_do_to_the_step():
    rule = partial(torch.optim.SGD, lr=0.1)
    arms = (Arm(), Arm(pace=0.5), Arm(frozen=True), Arm(flips=1.0), Arm(stop=1), Arm(init=3.0))
    first, once = trained(*arms, rule=STILL), trained(*arms, rule=rule, epochs=1)
    twice = trained(*arms, rule=rule, epochs=2)

    def weights(run, layer=0):
        return run[1].layers[layer][0].unflatten(0, (len(arms), REPEATS))

    step = weights(once)[0] - weights(first)[0]
    torch.testing.assert_close(weights(once)[1] - weights(first)[1], step / 2)
    torch.testing.assert_close(weights(once)[3] - weights(first)[3], -step)
    assert torch.equal(weights(twice)[2], weights(first)[2])
    assert not torch.equal(weights(twice, 1)[2], weights(first, 1)[2])
    assert torch.equal(weights(twice)[4], weights(once)[4])
    torch.testing.assert_close(weights(first)[5], 3 * weights(first)[0])


def test_noise_has_the_law_that_it_should(generator):
    """A linear network, many copies of one input: mean and variance of the scores."""
    arms = [Arm(), Arm(input_noise=0.2), Arm(weight_noise=0.3)]
    x = torch.rand(1, 6, generator=generator)
    weight = torch.randn(1, 6, 10, generator=generator).repeat(3, 1, 1)
    layers = [(weight, torch.zeros(3, 1, 10))]
    many = x.expand(3, 40_000, 6).clone()
    scores = disturbed(layers, many, Settings(arms, 1), generator)
    assert torch.equal(scores[0], x @ weight[0] + torch.zeros(40_000, 10))
    variance = torch.stack(
        [0.2**2 * weight[0].square().sum(dim=0), 0.3**2 * (x**2 @ weight[0] ** 2)[0]]
    )
    torch.testing.assert_close(scores[1:].var(dim=1), variance, rtol=0.05, atol=0)
    error = (variance / 40_000).sqrt()
    assert ((scores[1:].mean(dim=1) - x @ weight[0]).abs() < 4.5 * error).all()


def test_noise_on_hidden_activations(generator):
    arms = [Arm(), Arm(dropout=0.25), Arm(activation_noise=0.5)]
    hidden = torch.rand(1, 1, 6, generator=generator)
    eye = torch.eye(6).repeat(3, 1, 1)
    weight = torch.randn(1, 6, 10, generator=generator).repeat(3, 1, 1)
    layers = [(eye, torch.zeros(3, 1, 6)), (weight, torch.zeros(3, 1, 10))]
    many = hidden.expand(3, 40_000, 6).clone()
    scores = disturbed(layers, many, Settings(arms, 1), generator)
    square = weight[0].square()
    variance = torch.stack([(hidden[0] ** 2 @ square)[0] / 3, 0.25 * square.sum(dim=0)])
    torch.testing.assert_close(scores[1:].var(dim=1), variance, rtol=0.05, atol=0)
    error = (variance / 40_000).sqrt()
    assert ((scores[1:].mean(dim=1) - hidden[0] @ weight[0]).abs() < 4.5 * error).all()


def test_noise_leaves_other_arms_as_they_are():
    _, alone = trained(Arm())
    noisy = Arm(dropout=0.5, input_noise=0.3, activation_noise=1.0, weight_noise=1.0)
    _, beside = trained(Arm(), noisy)
    torch.testing.assert_close(beside.losses[:, 0], alone.losses[:, 0])
    assert (beside.losses[:, 1] - alone.losses[:, 0]).abs().min() > 1e-3


def test_pictures_are_moved_by_a_pixel(generator):
    pictures = torch.rand(1, 2, 64, generator=generator)
    moved = module._moved(pictures)
    assert torch.equal(moved[0], pictures)
    one = pictures[0, 0].view(8, 8)
    expected = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            other = torch.zeros(8, 8)
            for y in range(8):
                for x in range(8):
                    if 0 <= y + down < 8 and 0 <= x + right < 8:
                        other[y + down, x + right] = one[y, x]
            expected.append(other.flatten())
    for picture in expected:
        assert sum(torch.equal(picture, found) for found in moved[:, 0, 0]) == 1


def test_random_targets_are_a_share_and_drawn_from_all(generator):
    problem = draw(1000, 2, generator=generator)
    true, tenth, all_of_them = module._targets(
        problem, [Arm(), Arm(random_targets=0.2), Arm(random_targets=1.0)], generator
    ).unflatten(0, (3, 2))
    assert torch.equal(true, problem.targets)
    assert (tenth != true).float().mean() == pytest.approx(0.2 * 0.9, abs=0.04)
    assert (all_of_them == true).float().mean() == pytest.approx(0.1, abs=0.03)
    assert (all_of_them.flatten().bincount(minlength=10) > 140).all()


def test_digits_are_drawn_without_repetition_and_none_is_tested_on(generator):
    problem = draw(600, 2, generator=generator)
    assert len(problem.inputs[0].unique(dim=0)) == 600
    assert torch.equal(problem.test_inputs, digits().test_inputs.flatten(1))
    assert not torch.equal(problem.inputs[0], problem.inputs[1])


def test_training_ends_when_all_have_fitted_and_is_watched():
    _, networks = trained(Arm(), epochs=300, hidden=(30, 30), watch=True, until=1.0)
    assert len(networks.hits) < 300
    assert (networks.hits[-1] == 1).all()
    assert (networks.hits[:-1].flatten(1).amin(dim=1) < 1).all()


def test_a_diverging_run_is_stopped():
    with pytest.raises(Diverged, match="epoch"):
        trained(Arm(), rule=partial(torch.optim.SGD, lr=1e30))
