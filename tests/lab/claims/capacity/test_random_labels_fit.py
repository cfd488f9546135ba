"""Random labels are fitted by a wide network, and not by a narrow one."""

from offmap.lab.claims.capacity.memorizing import memorize
from offmap.lab.claims.capacity.random_labels_fit import random_labels_fit
from offmap.lab.run import find

SMALL = {"n": 40, "repeats": 2, "width": 64, "epochs": 80, "batch_size": 40, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["random_labels_fit"], scale="smoke")[0].verdict == "supported"


def test_a_network_with_few_parameters_fails(generator):
    given = SMALL | {"n": 200, "width": 3, "epochs": 60}
    trial = random_labels_fit(generator=generator, **given)
    assert trial.effect < 0.6
    assert trial.parts["parameters for each label"] < 2


def test_parameters_are_counted(generator):
    assert (
        memorize(generator=generator, **(SMALL | {"epochs": 1})).parameters
        == ((64 * 64 + 64) + (64 * 64 + 64) + (64 * 10 + 10)) / 40
    )


def test_what_is_fitted_is_chance_before_training_and_all_after(generator):
    found = memorize(generator=generator, **SMALL)
    assert (found.fitted == 1).all()
    assert (found.held_out[0] > 0.5).all()
    assert (found.held_out[1] < 0.3).all()
    assert found.figure.series["random labels"][0] < 0.5
