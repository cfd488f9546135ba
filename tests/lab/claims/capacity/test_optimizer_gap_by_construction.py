"""Where the optimizers end, against the pseudoinverse and the theorem; no gap without the trap."""

import torch

from offmap.lab.claims.capacity import optimizer_gap_by_construction as module
from offmap.lab.run import find

N = 20
TARGETS = torch.where(torch.arange(N) < 12, 1.0, -1.0).double()


def test_supported_at_smoke_and_every_method_ends_at_its_closed_form():
    finding = find(["optimizer_gap_by_construction"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["Adam: training accuracy"].low == 1
    far = [part for name, part in finding.parts.items() if "closed form" in name]
    assert len(far) == 4
    assert max(part.high for part in far) < 1e-5


def test_two_equations_give_the_smallest_solution():
    inputs = module.examples(TARGETS)
    torch.testing.assert_close(
        module.smallest(inputs, TARGETS), torch.linalg.pinv(inputs) @ TARGETS
    )


def test_examples_are_as_the_lemma_wants_them():
    inputs = module.examples(TARGETS)
    assert inputs.shape == (N, 3 + 12 + 5 * 8)
    torch.testing.assert_close(inputs @ (inputs.T @ TARGETS).sign(), 4 * TARGETS)
    assert inputs[:, 3:].sum(dim=0).eq(1).all()  # nobody shares them


def test_no_gap_without_the_two_constants():
    """What misleads is the coordinates that say which class is larger."""
    inputs = module.examples(TARGETS)
    inputs[:, 1:3] = 0
    for rule in module.SCALING.values():
        end = module.descend(rule, inputs, TARGETS, 600, last=module.FINAL)
        assert ((inputs @ end).sign() == TARGETS).all()
        assert module.accuracy_on_new(end) == 1


def test_accuracy_is_the_share_of_classes_that_are_right():
    always_up, right = torch.tensor([[0.25, 0.25, 0.25], [1.0, 0.1, 0.1]]).double()
    assert module.accuracy_on_new(always_up) == 0.6
    assert module.accuracy_on_new(right) == 1
