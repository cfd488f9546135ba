import pytest

from offmap.lab.claims.interpolation import outside_yet_right as module
from offmap.lab.claims.interpolation.pictures import drawn
from offmap.lab.data import digits
from offmap.lab.run import find


def test_verdict():
    assert find(["outside_yet_right"], scale="smoke")[0].verdict == "supported"


def test_all_pixels_are_outside_by_a_linear_program(program, generator):
    pictures = drawn(digits(), 1400, 397, generator=generator)
    used = pictures.train.std(dim=0) > 0  # constant pixels only slow the program down
    for row in pictures.test[:5]:
        assert not program(pictures.train[:, used].double(), row[used].double())


def test_an_untrained_network_is_not_right(generator):
    trial = module.outside_yet_right(hidden=(16,), epochs=0, data={}, generator=generator)
    assert trial.effect < 0.5


def test_of_pictures_that_it_learned_none_is_outside(monkeypatch, generator):
    """Copies are inside, and the accuracy outside has no examples: no number, no trial."""
    pictures = drawn(digits(), 300, 50, generator=generator)
    copies = pictures._replace(test=pictures.train[:50], test_targets=pictures.targets[:50])
    monkeypatch.setattr(module, "sets", lambda *_, **__: {"digits": copies})
    with pytest.raises(ValueError, match="finite"):
        module.outside_yet_right(hidden=(16,), epochs=5, data={}, generator=generator)
