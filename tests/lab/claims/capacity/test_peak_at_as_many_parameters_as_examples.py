"""With ten classes the peak lies at ten parameters an example, with one class at one."""

import pytest
import torch

from offmap.lab.claims.capacity import peak_at_as_many_parameters_as_examples as module
from offmap.lab.run import find


def test_refuted_at_smoke():
    assert find(["peak_at_as_many_parameters_as_examples"], scale="smoke")[0].verdict == "refuted"


def test_peak_is_where_features_are_as_many_as_examples(generator):
    trial = module.peak_at_as_many_parameters_as_examples(
        n=40, repeats=8, widths=(4, 20, 40, 80, 160), generator=generator
    )
    assert trial.effect == 10
    assert trial.parts["test error at the peak"] > 3 * trial.parts["least test error"]


def test_holds_where_all_is_counted_by_the_class(generator):
    """Were the ten classes one number to fit, the popular statement would be right."""
    trial = module.peak_at_as_many_parameters_as_examples(
        n=40, repeats=8, widths=(4, 20, 40, 80, 160), generator=generator
    )
    assert trial.parts["features at the peak, over examples"] == pytest.approx(1, abs=0.2)


def test_cutoff_keeps_the_peak():
    """The smallest singular value at n features for n examples is kept, down to rounding."""
    values = torch.tensor([1.0, 1e-8]).double().diag()
    assert torch.linalg.pinv(values, rtol=module.CUTOFF)[1, 1].item() == pytest.approx(1e8)
