"""Decoded midpoints are farther from the data than reconstructions are."""

from offmap.lab.claims.manifold import latent_midpoint_on_manifold as file
from offmap.lab.data import digits
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["latent_midpoint_on_manifold"], scale="smoke")
    assert finding.verdict == "refuted"
    assert finding.statement.corrected == "latent_midpoint"


def test_midpoints_of_one_picture_are_on_the_manifold(generator, monkeypatch):
    """The control: between a picture and itself a midpoint is the reconstruction."""
    one = (digits().inputs[:300], digits().test_inputs[:1])
    monkeypatch.setattr(file, "the_images", lambda *_: one)
    trial = file.latent_midpoint_on_manifold(
        n=300, codes=(2, 4), epochs=1, pairs=30, generator=generator
    )
    assert abs(trial.effect - 1) < 1e-5
