"""Networks that are trained once and kept: work that was stopped goes on from there."""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from offmap.attempt import readable
from offmap.files import whole
from offmap.guard.progress import Agenda
from offmap.models.weights import load_weights
from offmap.run import Recipe, Split
from offmap.survey import survey
from offmap.train import trainer

EPOCH = "retraining"  # what a step is called


def trained(
    recipe: Recipe,
    split: Split,
    generator: torch.Generator,
    agenda: Agenda,
    folder: Path | None = None,
) -> nn.Module:
    """The network that `trainer(recipe)` makes; read from the folder where it is there.

    The generator ends in the same state either way. A file goes by the hash of the data, of the
    generator's state, and of what can be known of the recipe: not of the code of its loss and its
    schedule, but of their names.

    Args:
        recipe: How to train.
        split: On what.
        generator: Source of everything that is drawn.
        agenda: Every epoch is a step of it.
        folder: Where networks are kept; None: nowhere.

    Raises:
        InputError: If the file cannot be read.
    """
    train = trainer(recipe, observe=lambda *_: agenda.tick(EPOCH))
    if folder is None:
        return train(split, generator)
    file = folder / f"{_key(recipe, split, generator)}.safetensors"
    if not file.exists():
        model = train(split, generator)
        weights = {
            name: w.detach().cpu().contiguous().clone() for name, w in model.state_dict().items()
        }
        with whole(file) as part:
            save_file(weights, part, {"generator": generator.get_state().numpy().tobytes().hex()})
        return model
    agenda.skip({EPOCH: recipe.epochs})
    model = _built(recipe)
    load_weights(model, file)
    state = readable(lambda: _state(file), str(file))
    generator.set_state(torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8))
    return model.eval()


def _key(recipe: Recipe, split: Split, generator: torch.Generator) -> str:
    model = _built(recipe)
    digest = blake2b(survey(split).fingerprint.encode(), digest_size=16)
    digest.update(generator.get_state().numpy().tobytes())
    for part in (
        model, recipe.optimizer(model.parameters()), recipe.epochs, recipe.batch_size,
        _name(recipe.loss), _name(recipe.schedule),
    ):  # fmt: skip
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()


def _built(recipe: Recipe) -> nn.Module:
    """A fresh model; torch's random state stays as it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        return recipe.build()


def _name(function: Callable[..., object] | None) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _state(file: Path) -> str:
    with safe_open(file, "pt") as opened:
        return opened.metadata()["generator"]
