from offmap.lab.run import find


def test_smoke_verdict_and_hard_margin_as_the_control():
    finding = find(["linear_conv_l1_dft"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["hard margin instead"].low > 0.05  # one layer would not cross the line
    assert finding.parts["l2 norm over that of the hard margin, less one"].low > 0.1
    assert finding.parts["gap between the bounds of the smallest norm"].high < 0.005
