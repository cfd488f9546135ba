from offmap.lab.run import find


def test_smoke_verdict_and_plain_descent_as_the_control():
    finding = find(["normalized_max_margin"], scale="smoke")[0]
    assert finding.verdict == "supported"
    plain = finding.parts["plain descent, 10,000 steps"]
    assert plain.value < 0.995  # the same steps without the normalization do not cross the line
    assert finding.parts["after 1,000 steps"].value < finding.estimate.value
