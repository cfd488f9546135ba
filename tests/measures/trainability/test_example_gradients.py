"""Per-example gradients against a closed form and plain autograd."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from offmap.attempt import CannotMeasure
from offmap.measures.trainability import example_gradients as module
from offmap.measures.trainability.example_gradients import example_gradients
from offmap.passes import evaluating
from offmap.run import Split


class Branching(nn.Module):
    """Looks at the data to decide what to do: cannot be vectorized."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.left(inputs) if inputs.sum() > 0 else self.right(inputs)


def normed() -> nn.Module:
    torch.manual_seed(0)  # inside fork_rng
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(12, 3),
    )  # fmt: skip
    model(torch.randn(16, 1, 4, 4))
    return model


def collect(model, split):
    with evaluating(model, gradients=True):
        chunks = list(example_gradients(model, split))
    losses = torch.cat([loss for loss, _ in chunks])
    return losses, {name: torch.cat([g[name] for _, g in chunks]) for name in chunks[0][1]}


def by_backward(model, split, loss):
    """One `.backward()` an example."""
    rows = {name: [] for name, _ in model.named_parameters()}
    with evaluating(model, gradients=True):
        for k in range(len(split)):
            model.zero_grad()
            loss(model(split.inputs[k : k + 1]), split.targets[k : k + 1]).backward()
            for name, weight in model.named_parameters():
                grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                rows[name].append(grad.clone())
    model.zero_grad(set_to_none=True)
    return {name: torch.stack(row) for name, row in rows.items()}


def test_softmax_regression_in_closed_form(generator):
    inputs, targets = torch.randn(300, 4, generator=generator), torch.arange(300) % 3
    model = nn.Linear(4, 3).double()
    losses, found = collect(model, Split(inputs.double(), targets))
    probs = model(inputs.double()).detach().softmax(dim=1)
    slack = probs - torch.eye(3)[targets].double()
    torch.testing.assert_close(found["bias"], slack)
    torch.testing.assert_close(found["weight"], slack[:, :, None] * inputs.double()[:, None])
    torch.testing.assert_close(losses, -probs.log()[torch.arange(300), targets])


@pytest.mark.parametrize("build", [normed, Branching])
def test_agrees_with_one_backward_an_example(build, generator):
    with torch.random.fork_rng():
        model = build()
    shape = (1, 4, 4) if build is normed else (4,)
    split = Split(torch.randn(20, *shape, generator=generator), torch.arange(20) % 3)
    expected = by_backward(model, split, cross_entropy)
    _, found = collect(model, split)
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)
    assert all(weight.grad is None for weight in model.parameters())


def test_targets_of_every_task(generator):
    inputs = torch.randn(6, 4, generator=generator)
    model = nn.Linear(4, 4)
    for targets in (torch.randn(6, 4, generator=generator), None):
        split = Split(inputs, targets)
        losses, found = collect(model, split)
        difference = model(inputs).detach() - split.targets
        torch.testing.assert_close(losses, difference.square().mean(dim=1))
        torch.testing.assert_close(found["bias"], difference / 2)  # 2 (out - y) / 4
    tokens = torch.randint(5, (6, 3), generator=generator)
    book = nn.Embedding(5, 5)
    losses, _ = collect(book, Split(tokens, tokens.flip(1)))
    expected = cross_entropy(
        book(tokens).detach().flatten(0, 1), tokens.flip(1).flatten(), reduction="none"
    )
    torch.testing.assert_close(losses, expected.reshape(6, 3).mean(dim=1))


def test_a_shared_weight_gets_both_its_gradients_and_a_frozen_one_none(generator):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[1].bias.requires_grad_(False)
    split = Split(torch.randn(5, 3, generator=generator), torch.arange(5) % 3)
    _, found = collect(model, split)
    assert list(found) == ["0.weight", "0.bias"]
    expected = by_backward(model, split, cross_entropy)
    torch.testing.assert_close(found["0.weight"], expected["0.weight"])


def test_holds_a_bounded_number_of_bytes(generator, monkeypatch):
    split = Split(torch.randn(20, 4, generator=generator), torch.arange(20) % 3)
    model = nn.Linear(4, 3)  # 60 bytes of weights
    _, whole = collect(model, split)
    monkeypatch.setattr(module, "GRADIENT_BYTES", 60 * 7)
    with evaluating(model, gradients=True):
        assert [len(loss) for loss, _ in example_gradients(model, split)] == [7, 7, 6]
    _, pieces = collect(model, split)
    torch.testing.assert_close(whole, pieces)


def test_refuses_a_frozen_model():
    split = Split(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long))
    with pytest.raises(CannotMeasure, match="none of the model's parameters requires a gradient"):
        next(example_gradients(nn.Linear(4, 3).requires_grad_(False), split))
