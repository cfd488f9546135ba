import numpy as np

from offmap.lab.claims.implicit_bias.logistic_max_margin import descent
from offmap.lab.claims.implicit_bias.max_margin import degrees, hard_margin
from offmap.lab.run import find


def test_smoke_verdict_and_the_flow_at_the_same_time():
    finding = find(["logistic_is_svm"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.parts["smallest margin of an example"].low > 0  # all are right
    flow = finding.parts["degrees of flow at the same time"].value
    assert abs(flow - finding.estimate.value) < 0.05


def test_it_is_true_where_every_example_is_a_support_vector_by_symmetry():
    z = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.5], [1.0, -0.5]])
    assert degrees(descent(z, [1000])[0], hard_margin(z)[0]) < 1e-6
