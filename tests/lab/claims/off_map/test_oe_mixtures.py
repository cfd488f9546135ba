from offmap.lab.claims.off_map.outlier_exposure import mixture, passing, splice, train
from offmap.lab.run import find


def test_verdict():
    assert find(["oe_mixtures"], scale="smoke")[0].verdict == "supported"


def test_control_splices_pass_less_often_where_they_were_trained_against(generator):
    trained = train([(mixture,), (splice,)], 20, 200, generator)
    mixed, spliced = (passing(model, (splice,), generator)["splice"] for model in trained)
    assert spliced < mixed - 0.05
