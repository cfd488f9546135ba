"""What an adversarial construction can do, tuning on real data undoes."""

from functools import partial

import torch
from torch.optim import SGD

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm, Problem, draw
from offmap.lab.claims.capacity.training import Rule, accuracy, adam, train

VALIDATION = 200  # held-out digits on which the learning rate is chosen; the rest are to test on
RULES: dict[str, Rule] = {
    "gradient descent": partial(SGD, lr=0.1, momentum=0.9),
    "Adam": adam(3e-3),
}


@claim(
    says="On digits, stochastic gradient descent and Adam, each with its learning rate tuned, "
    "differ by less than a point of test accuracy.",
    effect="test accuracy of gradient descent (with momentum) minus that of Adam, each at the "
    "learning rate that is best on validation data",
    above=-0.01,
    below=0.01,
    scales={
        "smoke": {
            "n": 100, "repeats": 8, "width": 64, "epochs": 40, "batch_size": 25,
            "paces": (0.3, 1.0, 3.0),
        },
        "desk": {
            "n": 300, "repeats": 4, "width": 128, "epochs": 60, "batch_size": 64,
            "paces": (0.1, 0.3, 1.0, 3.0),
        },
        "full": {
            "n": 600, "repeats": 10, "width": 256, "epochs": 150, "batch_size": 64,
            "paces": (0.03, 0.1, 0.3, 1.0, 3.0),
        },
    },
    seconds={"smoke": 0.8, "desk": 2.8, "full": 140.0},
    paper=Paper("Choi et al. 2019", "https://arxiv.org/abs/1910.05446"),
)  # fmt: skip
def tuned_optimizers_agree(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, paces: tuple[float, ...],
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two hidden layers on digits, by each optimizer at several learning rates.

    Rates are multiples (the paces) of 0.1 for gradient descent with momentum 0.9, and of 0.003 for
    Adam. Each optimizer's rate is the one of the best mean accuracy on 200 digits set aside;
    accuracy is compared on the others held out. Networks of one repeat start from the same
    weights and see the same examples in the same order, whatever the optimizer.
    """
    problem = draw(n, repeats, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    chosen, tested, lines, parts = part_of(problem, 0), part_of(problem, 1), {}, {}
    for name, rule in RULES.items():
        networks = train(
            problem, [Arm(pace=pace) for pace in paces], hidden=(width, width), epochs=epochs,
            batch_size=batch_size, rule=rule, generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        best = int(accuracy(networks, chosen).mean(dim=1).argmax())
        lines[name] = accuracy(networks, tested).mean(dim=1).double()
        parts[f"{name}: test accuracy"] = lines[name][best].item()
        parts[f"{name}: pace"] = paces[best]
    right = [parts[f"{name}: test accuracy"] for name in RULES]
    return Trial(
        effect=right[0] - right[1],
        parts=parts,
        figures=(
            Curve(
                "Test accuracy by learning rate", "multiple of the usual rate", "accuracy",
                torch.tensor(paces).double(), lines, log_x=True,
            ),
        ),
    )  # fmt: skip


def part_of(problem: Problem, place: int) -> Problem:
    """The held-out digits to choose on (0), or those to test on (1)."""
    rows = slice(None, VALIDATION) if place == 0 else slice(VALIDATION, None)
    return problem._replace(
        test_inputs=problem.test_inputs[rows], test_targets=problem.test_targets[rows]
    )
