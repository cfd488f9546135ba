from offmap.lab.run import find


def test_verdict_and_control():
    """The same networks reject what is far."""
    found = find(["oe_near_fakes"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["most of a far family with five kinds"].high < 0.08
