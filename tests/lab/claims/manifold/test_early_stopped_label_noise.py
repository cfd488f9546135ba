"""Networks stopped before they take on flipped labels."""

from offmap.lab.claims.manifold.early_stopped_label_noise import early_stopped_label_noise
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["early_stopped_label_noise"], scale="smoke")
    assert finding.verdict == "supported"
    assert finding.parts["flipped labels not taken on"].low > 0.8
    assert finding.parts["training error"].low > 0.15  # about as many as are flipped


def test_trained_on_it_pays_as_much_as_the_lookup(generator):
    """The control: without the stop, flipped labels are taken on and the gain is gone."""
    settings = {"n": 200, "noise": 0.2, "width": 256, "repeats": 2, "generator": generator}
    late = early_stopped_label_noise(updates=150, **settings)
    early = early_stopped_label_noise(updates=12, **settings)
    assert late.parts["flipped labels not taken on"] == 0
    assert late.effect > 0.8
    assert early.effect < 0.8


def test_with_hardly_a_flip_there_is_nothing_to_gain(generator):
    trial = early_stopped_label_noise(
        n=400, noise=0.02, width=128, updates=3, repeats=2, generator=generator
    )
    assert trial.effect > 1  # the control: stopped that early, it has not learned the digits
