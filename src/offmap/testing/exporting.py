"""Fitted scores outside of Python: as programs of torch.export and of ONNX."""

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from offmap.score import FittedScore, Seen

EXAMPLES = 5  # rows that an exporter is shown


class Flat(nn.Module):
    """Fitted scores as one module from plain tensors to their scores [n] each.

    Args:
        fitted: The scores.
    """

    def __init__(self, fitted: Sequence[FittedScore]) -> None:
        super().__init__()
        self.fitted = nn.ModuleList(fitted)
        self.names = [n for n in Seen._fields if any(n in each.score.seen for each in fitted)]

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The scores of rows, of which `names` are given in that order."""
        seen = Seen(**{"inputs": given[0], **dict(zip(self.names, given, strict=True))})
        return tuple(each(seen) for each in self.fitted)

    def given(self, seen: Seen) -> tuple[Tensor, ...]:
        """What `forward` takes of what is seen."""
        return tuple(getattr(seen, name) for name in self.names)


def exported(module: Flat, seen: Seen) -> torch.export.ExportedProgram:
    """The program of `torch.export`, for batches of any size."""
    some = tuple(values[:EXAMPLES] for values in module.given(seen))
    return torch.export.export(module, some, dynamic_shapes=_any_size(some))


def under_onnx(module: Flat, shown: Seen, seen: Sequence[Seen]) -> list[list[Tensor]]:
    """The scores of each of `seen` as onnxruntime computes them.

    Args:
        module: The scores.
        shown: What the exporter sees.
        seen: What the scores are computed of.
    """
    runtime = import_module("onnxruntime")
    some = tuple(values[:EXAMPLES] for values in module.given(shown))
    with warnings.catch_warnings():  # of the exporter itself, about torch's own parts
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, some, dynamo=True, verbose=False, input_names=module.names,
            dynamic_shapes=_any_size(some),
        )  # fmt: skip
    assert program is not None
    session = runtime.InferenceSession(program.model_proto.SerializeToString())
    asked = {each.name for each in session.get_inputs()}
    answers = []
    for each in seen:
        given = dict(zip(module.names, module.given(each), strict=True))
        feed = {name: values.numpy() for name, values in given.items() if name in asked}
        answers.append([torch.from_numpy(values) for values in session.run(None, feed)])
    return answers


def _any_size(some: tuple[Tensor, ...]) -> tuple[tuple[Mapping[int, object], ...]]:
    """Batches of any size, for a module that takes `*given`."""
    return (tuple({0: torch.export.Dim.DYNAMIC} for _ in some),)
