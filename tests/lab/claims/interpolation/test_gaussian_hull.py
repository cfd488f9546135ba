from math import asin, pi

import pytest
import torch

from offmap.lab.claims.interpolation.gaussian_hull import LARGE, gaussian_hull
from offmap.lab.claims.interpolation.hulls import shares_inside, sigmas
from offmap.lab.run import find
from offmap.lab.worlds import ball
from offmap.numerics.hull import inside_probability


def test_verdict():
    assert find(["gaussian_hull"], scale="smoke")[0].verdict == "supported"


def test_law_of_a_line_and_of_four_points_of_a_plane():
    assert inside_probability(9, 1) == pytest.approx(1 - 2 / 10)
    assert inside_probability(3, 2) == pytest.approx((1 - 6 * asin(1 / 3) / pi) / 4)  # Sylvester


def test_measured_shares_vary_about_a_linear_programs(program):
    draws = torch.Generator().manual_seed(0)
    hits = [
        program(
            torch.randn(135, 5, generator=draws, dtype=torch.double),
            torch.randn(5, generator=draws, dtype=torch.double),
        )
        for _ in range(200)
    ]
    assert abs(sum(hits) / 200 - inside_probability(135, 5)) < 4 * (0.25 / 200) ** 0.5


def test_figure_and_parts_tell_of_every_setting(generator):
    trial = gaussian_hull(settings=LARGE[:2], hulls=3, queries=4, generator=generator)
    assert len(trial.parts) == 4
    assert trial.parts["2 dimensions, 11 points, s = 1: law"] == inside_probability(11, 2)


def test_another_law_of_the_data_breaks_it(generator):
    shares = shares_inside(lambda n: ball(n, 3, generator=generator), 27, hulls=20, queries=10)
    assert sigmas(shares, inside_probability(27, 3), 10) > 4
