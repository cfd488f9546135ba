import pytest

from offmap.lab.claim import claims
from offmap.lab.claims.interpolation.barany_furedi_fresh_point import barany_furedi_fresh_point
from offmap.lab.claims.interpolation.hulls import shares_inside
from offmap.lab.run import find
from offmap.lab.worlds import gaussian
from offmap.numerics.hull import inside_probability, samples_needed


def test_verdict():
    found = find(["barany_furedi_fresh_point"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_with_as_many_points_as_it_truly_takes_it_would_be_supported(generator):
    count = 6 * samples_needed(6)
    shares = shares_inside(
        lambda n: gaussian(n, 6, generator=generator), count, hulls=4, queries=20
    )
    assert shares.mean() > 0.5


def test_in_one_dimension_the_law_is_known(generator):
    trial = barany_furedi_fresh_point(dimensions=(1,), hulls=40, queries=10, generator=generator)
    assert trial.parts["1 dimensions, 3 points: law"] == pytest.approx(1 - 2 / 4)
    assert trial.effect == pytest.approx(0.5, abs=4 * 0.5 / 40**0.5)


def test_the_law_falls_below_any_share_at_the_printed_threshold():
    laws = [inside_probability(2 * 2 ** (d // 2) // d, d) for d in (10, 20, 30, 40, 60)]
    assert max(laws) < 1e-3
