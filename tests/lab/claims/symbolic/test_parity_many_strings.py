from offmap.lab.claim import claims
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["parity_many_strings"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.estimate.low > 0.6
    assert claims()["parity_many_strings"].corrected == "parity"


def test_with_few_strings_the_claim_would_stand(generator):
    """The control: what refutes it is the number of strings."""
    given = {"places": 20, "shown": 512, "width": 64, "epochs": 10}
    trial = claims()["parity_many_strings"](generator=generator, **given)
    assert 0.485 < trial.effect < 0.515
