from offmap.lab.claim import Trial, claims
from offmap.lab.claims.interpolation import interpolation_needed as module
from offmap.lab.claims.interpolation import outside_yet_right as protocol
from offmap.lab.claims.interpolation.pictures import drawn
from offmap.lab.data import digits
from offmap.lab.run import find


def test_verdict():
    found = find(["interpolation_needed"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_on_pictures_in_two_components_it_would_be_supported(monkeypatch, generator):
    """Where most test pictures are inside, most that are right are so too."""
    pictures = drawn(digits(), 1400, 100, generator=generator)
    flat = pictures._replace(train=pictures.train[:, 20:22], test=pictures.test[:, 20:22])
    monkeypatch.setattr(protocol, "sets", lambda *_, **__: {"digits": flat})
    # a point outside keeps the accuracy outside defined
    flat.test[0] = 9.0
    trial: Trial = module.interpolation_needed(hidden=(16,), epochs=3, data={}, generator=generator)
    assert trial.effect > 0.5
