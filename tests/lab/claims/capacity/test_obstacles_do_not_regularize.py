"""Obstacles lower the accuracy; no obstacle lowers nothing."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.obstacles_do_not_regularize import (
    OBSTACLES,
    obstacles_do_not_regularize,
)
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["obstacles_do_not_regularize"], scale="smoke")[0].verdict == "supported"


def test_fails_without_obstacles(monkeypatch, generator):
    for name in OBSTACLES:
        monkeypatch.setitem(OBSTACLES, name, Arm())
    assert abs(obstacles_do_not_regularize(generator=generator, **SMALL).effect) < 0.005


def test_every_obstacle_makes_training_harder(generator):
    trial = obstacles_do_not_regularize(generator=generator, **SMALL)
    assert trial.parts["least log of hardness, over plain"] > 0.1
