import pytest
import torch

from offmap.lab.claims.capacity.more_data_never_hurts import more_data_never_hurts, worst_rise
from offmap.lab.run import find


def test_verdict_and_control():
    """Refuted; without noise it holds up to n = p."""
    found = find(["more_data_never_hurts"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.parts["without noise, up to n = p"].high < 1


def test_control_past_the_peak_more_data_help(generator):
    trial = more_data_never_hurts(
        p=20, sizes=(3, 8, 30, 60, 100), draws=300, noise=0.5, generator=generator
    )
    assert trial.effect < 1
    assert trial.parts["by the exact law"] < 1


def test_worst_rise_is_over_all_pairs():
    risks = torch.tensor([2.0, 1.0, 4.0, 3.0, 3.5], dtype=torch.double)
    pairs = max((risks[j] / risks[i]).item() for j in range(5) for i in range(j))
    assert worst_rise(risks) == pytest.approx(pairs)
