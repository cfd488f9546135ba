"""Programs of `torch.export`: a whole model in one file, without its Python code."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import SymInt, Tensor, nn
from torch.export import ExportedProgram

from offmap.attempt import InputError, readable
from offmap.models.weights import Format, format_of, refuse_broken
from offmap.passes import BATCH


class ExportedModel(nn.Module):
    """An exported program as an ordinary module: modes can be set, and inputs are checked.

    The mode changes nothing: a program computes what it computed when it was exported.

    Args:
        program: The program, of one input tensor whose first size is free.

    Raises:
        InputError: If it takes anything else, or was exported in training mode.
    """

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        given = _input(program)
        _refuse_training(program)
        self.shape = tuple(None if isinstance(s, SymInt) else s for s in given.shape[1:])
        self.dtype = given.dtype
        module = program.module()
        # torch puts a train() and an eval() that raise on the instance; without them the module
        # has those of every module.
        for name in ("train", "eval"):
            module.__dict__.pop(name, None)
        self.exported = program
        self.program = module
        self.eval()

    def forward(self, inputs: Tensor) -> Any:
        """What the program makes of inputs [n, ...].

        Raises:
            InputError: If they have another shape or type than the program was exported for.
        """
        fits = len(inputs.shape) == len(self.shape) + 1 and all(
            want is None or got == want
            for got, want in zip(inputs.shape[1:], self.shape, strict=True)
        )
        if not fits or inputs.dtype != self.dtype:
            shape = ", ".join("n" if size is None else str(size) for size in (None, *self.shape))
            raise InputError(
                f"the exported program expects inputs [{shape}] of {self.dtype}, "
                f"got {list(inputs.shape)} of {inputs.dtype}"
            )
        return self.program(inputs)

    def __reduce__(self) -> tuple[Any, ...]:
        """As the program in its own format: a graph module cannot be pickled."""
        content = BytesIO()
        torch.export.save(self.exported, content)
        return _restored, (content.getvalue(), self.state_dict())


def _restored(content: bytes, weights: dict[str, Tensor]) -> ExportedModel:
    model = ExportedModel(torch.export.load(BytesIO(content)))
    model.load_state_dict(weights)
    return model


def load_exported(path: str | Path, *, allow_pickle: bool = False) -> ExportedModel:
    """The model in a file of `torch.export.save`.

    Args:
        path: The file.
        allow_pickle: Such a file is code: PyTorch evaluates what stands in it while reading, so
            that it must be trusted like a pickle.

    Raises:
        InputError: If it was not allowed, is no program, or one that offmap cannot run.
    """
    path = Path(path)
    kind = format_of(path)
    if kind is not Format.PROGRAM:
        raise InputError(f"{path}: expected a program of torch.export, got {kind.value}")
    if not allow_pickle:
        raise InputError(
            f"{path}: a program of torch.export can run code when it is read: pass --allow-pickle "
            "(allow_pickle=True) if you trust the file, or give the model's class and its weights"
        )
    # Read from memory: torch logs a warning where a file's name does not end in .pt2.
    content = BytesIO(path.read_bytes())
    program = readable(lambda: torch.export.load(content), str(path))
    refuse_broken(program.state_dict.items(), str(path))
    return ExportedModel(program)


def _input(program: ExportedProgram) -> Tensor:
    """The one input of the program, as an example without values.

    Raises:
        InputError: If there is not one, or the number of examples is not free.
    """
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes}
    found = [nodes[name].meta["val"] for name in names if isinstance(name, str) and name in nodes]
    if len(found) != 1 or len(names) != 1 or not isinstance(found[0], Tensor) or not found[0].ndim:
        raise InputError(
            f"expected an exported program of one tensor [n, ...], got one of {len(names)} inputs"
        )
    given = found[0]
    size = given.shape[0]
    advice = "export it again with dynamic_shapes=({0: torch.export.Dim('n')},)"
    if not isinstance(size, SymInt):
        raise InputError(
            f"expected an exported program for any number of examples, got one for {size}: {advice}"
        )
    bounds = program.range_constraints[size.node.expr]
    if bounds.upper < BATCH:
        raise InputError(
            f"expected an exported program for batches of up to {BATCH} examples, got one for at "
            f"most {bounds.upper}: {advice}"
        )
    return given


def _refuse_training(program: ExportedProgram) -> None:
    """Refuses programs that drop units or update statistics.

    Raises:
        InputError: If there is such an operator.
    """
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            continue
        said = dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | node.kwargs
        if said.get("train") is True or said.get("training") is True:
            raise InputError(
                f"expected a program exported in evaluation mode, got {node.target} in training "
                "mode: call model.eval() and export it again"
            )
