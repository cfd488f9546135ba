import pytest

from offmap.lab.claim import claims
from offmap.lab.claims.interpolation.hull_dimension_alone import hull_dimension_alone
from offmap.lab.run import find


def test_verdict():
    found = find(["hull_dimension_alone"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_effect_is_the_range_of_the_shares(generator):
    trial = hull_dimension_alone(dimension=4, count=60, hulls=2, queries=20, generator=generator)
    shares = [trial.parts[name] for name in ("ball", "cube", "Gaussian", "Student's t")]
    assert trial.effect == pytest.approx(max(shares) - min(shares))


def test_on_a_line_it_would_be_supported(generator):
    trial = hull_dimension_alone(dimension=1, count=99, hulls=10, queries=50, generator=generator)
    assert trial.effect < 0.1  # 0.98 for every law
