from offmap.lab.claim import claims
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["parity_sparse"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert 0.45 < finding.parts["3 of 20 places, another set"].value < 0.55


def test_a_handful_of_strings_is_not_enough(generator):
    given = {"places": 20, "shown": {3: 100}, "epochs": 3, "networks": 1}
    assert claims()["parity_sparse"](generator=generator, **given).effect < 0.9
