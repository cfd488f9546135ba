from offmap.lab.claim import claims
from offmap.lab.claims.interpolation.curve_fills import curve_fills
from offmap.lab.claims.interpolation.hull_curve_tolerance import shares
from offmap.lab.run import find


def test_verdict():
    found = find(["curve_fills"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_effect_is_that_of_seven_dimensions(generator):
    trial = curve_fills(curves=1, queries=6, dimensions=(3, 7), generator=generator)
    assert trial.effect == trial.parts["inside in 7 dimensions"]


def test_in_one_dimension_it_would_be_supported(generator):
    inside, _ = shares(1, 3, 800, 3, 12, generator=generator)
    assert inside > 0.9  # 1 - 2 / 801
