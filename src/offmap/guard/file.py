"""A guard in one safetensors file: tensors, and a JSON header. No pickle, and no network in it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from offmap.attempt import Failure, InputError, attempt, readable
from offmap.catalog import scores as all_scores
from offmap.codec import decode, encode
from offmap.files import whole
from offmap.guard.atlas import Atlas
from offmap.guard.ensemble import Ensemble
from offmap.guard.facts import SCHEMA, Facts, from_plain, plain
from offmap.guard.ruler import Ruler
from offmap.guard.seeing import Sight
from offmap.score import FittedScore
from offmap.survey import fingerprint_weights

if TYPE_CHECKING:
    from offmap.guard.guard import Guard

HEADER = "offmap"  # the one key of the metadata: JSON, with a checksum in it
NETWORK = "sight."  # tensors of the network, which stay out of the file
ATLAS = ("points", "center", "rows", "targets", "pictures")

Settings = Mapping[str, Mapping[str, Any]]  # by score


def write(guard: "Guard", path: str | Path) -> None:
    """Save all of a guard but its network: whole, or not at all.

    The checksum is over header and tensors. It shows damage and careless editing; it is no
    signature, so whoever means harm can compute it anew.

    Raises:
        InputError: If the place cannot be written.
    """
    tensors = _own_storage(
        {name: part for name, part in guard.state_dict().items() if not name.startswith(NETWORK)}
    )
    said = _header(guard)
    text = json.dumps({"checksum": checksum(said, tensors)} | said)
    with writing(Path(path)) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # as any new file here; safetensors locks others out
        save_file(tensors, temporary, {HEADER: text})
        temporary.chmod(mode)


def parts(path: str | Path, model: nn.Module) -> dict[str, Any]:
    """The arguments of `Guard`, from a file and the network that it was fitted on.

    Args:
        path: A file of `write`.
        model: That network; a copy of it is made.

    Raises:
        InputError: If the file is missing, damaged, none of a guard, newer than this offmap, or
            of another network; it says which.
    """
    path = Path(path)
    header, state = _read(path)
    facts = readable(lambda: from_plain(header["facts"]), f"{path}: the header")
    prints = facts.fingerprints["weights"], fingerprint_weights(model.state_dict())
    if prints[0] != prints[1]:
        raise InputError(
            f"{path}: expected the network that the guard was fitted on (weights "
            f"{prints[0][:12]}), got another or other weights ({prints[1][:12]}): load the weights "
            "of that time, or fit a guard on these"
        )
    made = attempt(lambda: _made(header, facts, state, model))
    if isinstance(made, Failure):
        # a ValueError is a sentence already; anything else needs its kind to be understood
        said = str(made.error) if isinstance(made.error, ValueError) else made.summary
        raise InputError(f"{path}: {said}") from made.error
    return made


def header(path: str | Path) -> dict[str, Any]:
    """What a file says of itself, as plain JSON values; the network is not needed.

    Raises:
        InputError: If the file is missing, damaged, none of a guard, or newer than this offmap.
    """
    return _read(Path(path))[0]


def checksum(said: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Of the header and of all tensors, in the order of their names."""
    digest = blake2b(json.dumps(said).encode(), digest_size=16)
    digest.update(fingerprint_weights(dict(sorted(tensors.items()))).encode())
    return digest.hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary file that takes the place of `path` when it has been written.

    Raises:
        InputError: If the place cannot be written, or the disk is full.
    """
    try:
        with whole(path) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(
            f"{path}: expected to write there, got {error.strerror or error}: free some space or "
            "give another path"
        ) from error


def _header(guard: "Guard") -> dict[str, Any]:
    dispute = guard.dispute
    return {
        "schema": SCHEMA,
        "facts": plain(guard.facts),
        "thresholds": {
            "off_map": guard.ruler.rate,
            "uncertain": guard.sure,
            "disputed": None if dispute is None else dispute.rate,
        },
        "dispute": None if dispute is None else encode(_settings(dispute.score)),
        "by_features": guard.atlas.by_features,
    }


def _settings(score: nn.Module) -> Settings:
    assert isinstance(score, FittedScore)
    return {score.score.name: score.settings}


def _own_storage(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, each in memory of its own: safetensors refuses what is shared."""
    taken: set[int] = set()
    own = {}
    for name, tensor in tensors.items():
        part = tensor.detach().cpu().contiguous()
        if part.untyped_storage().data_ptr() in taken:
            part = part.clone()
        taken.add(part.untyped_storage().data_ptr())
        own[name] = part
    return own


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file.

    Raises:
        InputError: If it is missing, damaged, no guard, or of a newer schema.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected the file of a guard, got none of that name")
    found = attempt(lambda: _opened(path))
    if isinstance(found, Failure):
        raise InputError(
            f"{path}: expected a whole safetensors file, got one that is cut short or of another "
            f"kind ({found.summary}): copy it again, or save the guard again"
        ) from found.error
    metadata, state = found
    if HEADER not in metadata:
        raise InputError(
            f"{path}: expected the file of a guard, got safetensors without its header (are these "
            "the weights of a network?): give what guard.save() wrote"
        )
    said = readable(lambda: json.loads(metadata[HEADER]), f"{path}: the header")
    schema = said.get("schema") if isinstance(said, dict) else None
    if not isinstance(schema, int) or schema > SCHEMA:
        raise InputError(
            f"{path}: expected a guard of schema {SCHEMA} or older, got {schema!r}: "
            "install a newer offmap"
        )
    if said.pop("checksum", None) != checksum(said, state):
        raise InputError(
            f"{path}: expected thresholds and tensors as they were saved, got others (the checksum "
            "differs): the file was changed or damaged, so save the guard again"
        )
    return said, state


def _opened(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors, in memory of their own: what befalls the file later is no matter."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def _made(
    header: Mapping[str, Any], facts: Facts, state: Mapping[str, Tensor], model: nn.Module
) -> dict[str, Any]:
    """The parts of a guard out of what a file holds."""
    rates, rival = header["thresholds"], decode(header["dispute"])
    dispute = None if rival is None else _ruler(rival, _under(state, "dispute."), rates["disputed"])
    _check_atlas(state)
    return {
        "sight": Sight(model, facts.feature_layer, classifies=facts.task == "classification"),
        "ruler": _ruler(facts.scores, _under(state, "ruler."), rates["off_map"]),
        "facts": facts,
        "atlas": Atlas(
            *(state[f"atlas.{name}"] for name in ATLAS), by_features=header["by_features"]
        ),
        "sure": rates["uncertain"],
        "dispute": dispute,
    }


def _ruler(scores: Settings, state: Mapping[str, Tensor], rate: float) -> Ruler:
    """A score with its calibration.

    Raises:
        InputError: If the knots of the p-value do not fit together.
    """
    position, level = state["position"], state["level"]
    if position.ndim != 2 or position.shape != level.shape or not position.numel():
        raise InputError(
            f"expected knots of one shape (groups, knots), got positions {tuple(position.shape)} "
            f"and levels {tuple(level.shape)}: save the guard again"
        )
    return Ruler(_score(scores, _under(state, "score.")), position, level, rate)


def _check_atlas(state: Mapping[str, Tensor]) -> None:
    """Refuse columns of different lengths; targets and pictures may be left out.

    Raises:
        InputError: If there are such.
    """
    sizes = {name: len(state[f"atlas.{name}"]) for name in ATLAS if name != "center"}
    rows = sizes["rows"]
    if sizes["points"] != rows or not {sizes["targets"], sizes["pictures"]} <= {0, rows}:
        said = ", ".join(f"{size} {name}" for name, size in sizes.items())
        raise InputError(f"expected an atlas of as many of each, got {said}: save the guard again")


def _score(scores: Settings, state: Mapping[str, Tensor]) -> nn.Module:
    """A fitted score, or an ensemble of several."""
    if len(scores) == 1:
        [(name, settings)] = scores.items()
        return _fitted(name, settings, state)
    members = [
        _fitted(name, settings, _under(state, f"members.{place}."))
        for place, (name, settings) in enumerate(scores.items())
    ]
    return Ensemble(members, *(state[name] for name in ("position", "surprise", "slope")))


def _fitted(name: str, settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> FittedScore:
    """One score with its state.

    Raises:
        InputError: If this offmap does not have it, or has it with other settings.
    """
    unit = all_scores().get(name)
    if unit is None:
        raise InputError(
            f"expected scores that are installed, got a guard with {name!r}: install the package "
            "that offers it"
        )
    if settings.keys() != unit.settings.keys():
        raise InputError(
            f"score {name}: expected the settings {', '.join(unit.settings) or '(none)'}, got "
            f"{', '.join(settings) or '(none)'}: fit the guard with this offmap"
        )
    return FittedScore(unit, state, settings)


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
