"""A network and its guard as one program that runs without offmap: `.pt2`, or `.onnx`."""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from offmap.attempt import Failure, InputError, attempt, readable
from offmap.guard.atlas import Atlas
from offmap.guard.facts import REASONS, plain
from offmap.guard.file import writing
from offmap.guard.guard import Guard
from offmap.guard.verdict import Verdict

INPUT = "inputs"
FACTS = "offmap.json"  # in a .pt2; in ONNX the metadata are under `offmap`
LARGEST = 2**31  # bytes of an ONNX file: protobuf's limit
CHATTER = "torch.onnx._internal.exporter._registration"  # it logs that torchvision is not here


def export(guard: Guard, path: str | Path) -> None:
    """Write model and guard as one program of any batch size.

    It takes `inputs` and gives, by name, what `Verdict` has: prediction, p_value, accepted, reason
    (a number, see `REASONS`) and score. It says no neighbors.

    Args:
        guard: What to export, on the device where a `.pt2` is to run.
        path: A name that ends in `.pt2` (for `torch.export.load`) or in `.onnx`.

    Raises:
        InputError: If the name ends in anything else, the packages for ONNX are missing, the
            network cannot be exported, or the place cannot be written.
    """
    path = Path(path)
    kinds = {".pt2": _write_program, ".onnx": _write_onnx}
    if path.suffix not in kinds:
        raise InputError(
            f"{path}: expected a name that ends in .pt2 or .onnx, got {path.suffix or 'no ending'}"
        )
    kinds[path.suffix](guard, path)


class _Plain(nn.Module):
    """A guard with its verdict as a plain dictionary, and without the examples that it can name."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.guard = Guard(
            guard.sight, guard.ruler, guard.facts, _no_atlas(), sure=guard.sure,
            dispute=guard.dispute,
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """The verdict by name."""
        return self.guard(inputs)._asdict()


def _no_atlas() -> Atlas:
    none = torch.empty(0, dtype=torch.int64)
    return Atlas(none.float()[:, None], torch.zeros(1), none, none, none.byte(), by_features=True)


def _program(guard: Guard) -> ExportedProgram:
    """The guard as a program.

    Raises:
        InputError: If `torch.export` cannot follow the network.
    """
    domain = guard.facts.domain
    device = guard.ruler.position.device
    blank = torch.full((2, *domain.shape), domain.low or 0.0, dtype=domain.dtype, device=device)
    with torch.no_grad():
        made = attempt(
            lambda: torch.export.export(_Plain(guard), (blank,), dynamic_shapes=({0: Dim("n")},))
        )
    if isinstance(made, Failure):
        raise InputError(
            f"expected a network that torch.export can follow, got {made.summary}"
        ) from made.error
    return made


def _write_program(guard: Guard, path: Path) -> None:
    content = BytesIO()  # to a file, torch complains of a name that does not end in .pt2
    program = _program(guard)
    with _quiet():
        torch.export.save(program, content, extra_files={FACTS: _facts(guard)})
    with writing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _write_onnx(guard: Guard, path: Path) -> None:
    """Write ONNX, in one file.

    Raises:
        InputError: If packages are missing, or it would be too large, or something in the network
            has no counterpart there.
    """
    for package in ("onnx", "onnxscript"):
        if isinstance(attempt(lambda package=package: importlib.import_module(package)), Failure):
            raise InputError(
                f"{path}: expected the package {package} to be installed, which ONNX needs, got "
                "none: pip install 'offmap[onnx]'"
            )
    program = _program(guard)
    size = sum(part.nbytes for part in _tensors(program).values())
    if size >= LARGEST:
        raise InputError(
            f"{path}: expected at most {LARGEST:,} bytes in an ONNX file, got {size:,}: thin the "
            "bank of the score, or export a .pt2"
        )
    with _quiet():
        made = readable(
            lambda: torch.onnx.export(
                program, input_names=[INPUT], output_names=list(Verdict._fields), dynamo=True,
                external_data=False, verbose=False,
            ),
            f"{path}: the guard", "exported to ONNX",
        )  # fmt: skip
    assert made is not None
    made.model.metadata_props["offmap"] = _facts(guard)
    with writing(path) as temporary:
        made.save(temporary, external_data=False)


def _tensors(program: ExportedProgram) -> Mapping[str, Any]:
    return {**program.state_dict, **program.constants}


def _facts(guard: Guard) -> str:
    """What a reader of the program has to know, as JSON."""
    return json.dumps({"reasons": REASONS, "facts": plain(guard.facts)})


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch says of its own affairs: nobody who exports can do anything about it."""
    log = logging.getLogger(CHATTER)
    with warnings.catch_warnings():
        # torch copies tree specifications by a way that torch calls old
        warnings.filterwarnings("ignore", r".*LeafSpec.* is deprecated", FutureWarning)
        # weights in another order of memory (channels last) are written right all the same
        warnings.filterwarnings("ignore", "No complete tensor found in the group", UserWarning)
        log.addFilter(_unheard)
        try:
            yield
        finally:
            log.removeFilter(_unheard)


def _unheard(record: logging.LogRecord) -> bool:
    return "torchvision is not installed" not in record.getMessage()
