from offmap.lab.claims.off_map.off_manifold_ignores_data import off_manifold_ignores_data
from offmap.lab.run import find


def test_verdict_and_comparison():
    """Attacks within the manifold do become rarer with data."""
    found = find(["off_manifold_ignores_data"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["attacks within the subspace, Adam"].high < 1


def test_control_without_directions_off_the_subspace_there_are_no_such_errors(generator):
    """One dimension off the subspace instead of 35: next to nothing to attack along."""
    trial = off_manifold_ignores_data(
        worlds=3, subspace=5, dimension=6, width=32, sizes=(40, 640), updates=100,
        generator=generator,
    )  # fmt: skip
    wide = off_manifold_ignores_data(
        worlds=3, subspace=5, dimension=80, width=32, sizes=(40, 640), updates=100,
        generator=generator,
    )  # fmt: skip
    key = "rate with the most examples, Adam"
    assert trial.parts[key] < wide.parts[key] / 2
