import pytest
import torch
from torch import nn

from offmap.lab.claims.interpolation import hull_latent as module
from offmap.lab.claims.interpolation.pictures import components, learned, sets
from offmap.lab.run import find
from offmap.models.mlp import MLP

SMALL = {"hidden": (16,), "epochs": 3, "dimensions": (4,), "examples": 40, "data": {}}


def test_verdict():
    assert find(["hull_latent"], scale="smoke")[0].verdict == "supported"


def test_features_are_what_the_last_layer_reads(generator):
    model = MLP(64, (16, 8))
    inputs = torch.rand(5, 64, generator=generator)
    with torch.no_grad():
        assert torch.allclose(model.head(module.features(model, inputs)), model(inputs))
    assert module.features(None, inputs) is inputs


def test_shares_are_those_of_a_linear_program(program):
    draws = torch.Generator().manual_seed(6)
    trial = module.hull_latent(**SMALL, generator=draws)
    draws.manual_seed(6)
    pictures = sets({}, module.SIZES, generator=draws)["digits"]
    for epochs in (0, 3):
        model = learned(pictures, hidden=(16,), epochs=epochs, generator=draws)
    shares = {}
    for where, chosen in (("pixels", None), ("untrained", None), ("trained", model)):
        points, queries = components(
            module.features(chosen, pictures.train),
            module.features(chosen, pictures.test[:40]), 4, generator=draws,
        )  # fmt: skip
        shares[where] = sum(program(points, query) for query in queries) / 40
    assert trial.parts["digits, pixels, 4 components"] == pytest.approx(shares["pixels"])
    assert trial.parts["digits, trained, 4 components"] == pytest.approx(shares["trained"])
    assert trial.effect == pytest.approx(shares["trained"] - shares["pixels"])


def test_features_that_are_made_to_interpolate_are_seen(monkeypatch, generator):
    """Test features drawn toward the mean of the training features lie inside."""

    def inward(model: nn.Module | None, inputs):
        return inputs if model is None else inputs / (20 if len(inputs) == 40 else 1)

    monkeypatch.setattr(module, "features", lambda m, x: inward(m, x - 0.3))
    trial = module.hull_latent(**(SMALL | {"dimensions": (8,)}), generator=generator)
    assert trial.effect > 0.05
