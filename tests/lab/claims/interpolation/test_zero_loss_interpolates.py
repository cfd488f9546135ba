from offmap.lab.claim import claims
from offmap.lab.claims.interpolation import zero_loss_interpolates as module
from offmap.lab.claims.interpolation.pictures import drawn
from offmap.lab.data import digits
from offmap.lab.run import find


def test_verdict():
    found = find(["zero_loss_interpolates"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()
    errors = [trial.parts["digits: training error"] for trial in found.finished]
    assert max(errors) < 0.005


def test_tests_made_of_training_pictures_would_support_it(monkeypatch, generator):
    """Means of two pictures of the training set lie in its hull."""
    pictures = drawn(digits(), 300, 50, generator=generator)
    between = pictures.train[:50].double() / 2 + pictures.train[50:100].double() / 2
    made = pictures._replace(train=pictures.train.double(), test=between)
    monkeypatch.setattr(module, "sets", lambda *_, **__: {"digits": made})
    monkeypatch.setattr(module, "learned", lambda *_, **__: None)
    monkeypatch.setattr(module, "wrong", lambda _, x, y: y < 0)
    trial = module.zero_loss_interpolates(hidden=(8,), epochs=0, data={}, generator=generator)
    assert trial.effect == 1
