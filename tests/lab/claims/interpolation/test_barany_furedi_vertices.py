import numpy as np
import torch
from scipy.spatial import ConvexHull

from offmap.lab.claims.interpolation.barany_furedi_vertices import barany_furedi_vertices
from offmap.lab.run import find
from offmap.lab.worlds import ball


def test_verdict():
    assert find(["barany_furedi_vertices"], scale="smoke")[0].verdict == "supported"


def test_share_as_of_qhull():
    draws = torch.Generator().manual_seed(5)
    trial = barany_furedi_vertices(dimensions=(4,), samples=30, factors=(2.0,), generator=draws)
    assert trial.parts["4 dimensions: samples of vertices only"] == 1  # four points: a simplex
    draws.manual_seed(5)
    for _ in range(30):
        ball(4, 4, generator=draws)
    sizes = [len(ConvexHull(ball(8, 4, generator=draws).numpy()).vertices) for _ in range(6)]
    share = np.mean(np.array(sizes) == 8)
    assert trial.parts["4 dimensions, 8 points: samples of vertices only"] == share


def test_far_beyond_the_threshold_it_fails(generator):
    trial = barany_furedi_vertices(
        dimensions=(10,), samples=5, factors=(32.0,), generator=generator
    )
    assert trial.parts["10 dimensions, 1024 points: samples of vertices only"] == 0
