from offmap.lab.run import find


def test_smoke_verdict_and_the_other_start_as_the_control():
    finding = find(["factorization_nuclear"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["start 1"].low > 0.005 > finding.parts["start 0.001"].high
    assert finding.parts["gap between the bounds of the least"].high < 1e-6
