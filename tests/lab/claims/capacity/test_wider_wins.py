import torch

from offmap.lab.claims.capacity.double_descent_width import even, risks_of_widths
from offmap.lab.claims.capacity.wider_wins import wider_wins
from offmap.lab.run import find


def test_verdict_and_control():
    """Refuted for features in order of importance; with features that matter alike it holds."""
    found = find(["wider_wins"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.parts["with features that matter alike"].high < 1


def test_measured_ratios_are_those_of_the_exact_law(generator):
    trial = wider_wins(n=20, widths=(3, 6, 60, 120), draws=300, noise=0.5, generator=generator)
    assert abs(trial.effect / trial.parts["by the exact law"] - 1) < 0.05
    control = trial.parts["with features that matter alike"]
    assert abs(control / trial.parts["the same by the exact law"] - 1) < 0.05


def test_alike_is_what_features_in_random_order_are(generator):
    """A truth that falls, its coordinates shuffled anew in each data set, has the even law."""
    truth = 1 / torch.arange(1, 41, dtype=torch.double)
    truth /= truth.norm()
    one_each = [
        risks_of_widths(
            12, (30,), truth[torch.randperm(40, generator=generator)], 1, 0.5, generator
        )[0]
        for _ in range(1500)
    ]
    risks = torch.cat(one_each, dim=1)
    _, law = risks_of_widths(12, (30,), even(40), 2, 0.5, generator)
    assert (risks.mean() - law).abs().item() < 4 * risks.std().item() / 1500**0.5
