from offmap.lab.run import find


def test_smoke_verdict_and_turns_to_the_same_side_as_the_control():
    finding = find(["savarese_unique"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["two turns to the same side: least range"].value > 1e-3
