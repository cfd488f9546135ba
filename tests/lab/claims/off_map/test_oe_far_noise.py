from offmap.lab.run import find


def test_verdict_and_control():
    """Without outliers in training every far family passes more often."""
    found = find(["oe_far_noise"], scale="smoke")[0]
    assert found.verdict == "supported"
    alone = found.parts["smallest share of these without outliers in training"]
    assert alone.value > found.estimate.high
    assert found.parts["accuracy"].low > 0.93
