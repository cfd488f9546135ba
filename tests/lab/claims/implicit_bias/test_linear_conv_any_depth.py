from offmap.lab.run import find


def test_smoke_verdict_and_two_layers_as_the_control():
    finding = find(["linear_conv_any_depth"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.parts["depth 2"].value < 0.05  # it is true for two, false for one and three
    assert finding.parts["depth 1"].low > 0.05
