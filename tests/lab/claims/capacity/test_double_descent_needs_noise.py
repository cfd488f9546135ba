from sklearn.linear_model import RidgeClassifier

from offmap.lab import data
from offmap.lab.claims.capacity.least_squares import normal
from offmap.lab.run import find


def test_verdict():
    assert find(["double_descent_needs_noise"], scale="smoke")[0].verdict == "refuted"


def test_control_a_ridge_penalty_removes_the_peak(generator):
    """The same features of the same digits without the exact fit: the claim holds for these."""
    images, errors = data.digits(), []
    x, test = (part[:400].flatten(1).double() for part in (images.inputs, images.test_inputs))
    for width in (60, 240, 3840):
        weights = normal(64, width, generator=generator)
        model = RidgeClassifier(alpha=100.0).fit((x[:240] @ weights).relu(), images.targets[:240])
        answers = model.predict((test @ weights).relu())
        errors.append((answers != images.test_targets[:400].numpy()).mean())
    assert errors[1] < 1.5 * max(errors[0], errors[2])
