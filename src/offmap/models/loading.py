"""The user's model, from the function or class that builds it and a file of weights."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from offmap.attempt import InputError, readable
from offmap.models.weights import load_weights


def load_model(
    factory: str,
    weights: str | Path | None = None,
    *,
    parameters: Mapping[str, object] | None = None,
    allow_pickle: bool = False,
) -> nn.Module:
    """The model that a factory builds, with the weights of a file in it.

    Args:
        factory: "package.module:name", also found in the current directory, or
            "path/to/file.py:name"; a class or a function.
        weights: A file for `load_weights`; None: as the factory leaves them.
        parameters: What the factory is called with, by name.
        allow_pickle: Read weights from pickles that can run code.

    Raises:
        InputError: If the factory is not found, raises, or gives no `nn.Module`, or the weights
            do not fit.
    """
    build = _found(factory)
    model = readable(lambda: build(**(parameters or {})), f"the model of {factory!r}", "built")
    if not isinstance(model, nn.Module):
        raise InputError(f"{factory!r}: expected it to build a torch module, got {_kind(model)}")
    if weights is not None:
        load_weights(model, weights, allow_pickle=allow_pickle)
    return model


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _found(factory: str) -> Any:
    """The class or function of that name.

    Raises:
        InputError: If there is none.
    """
    place, _, name = factory.rpartition(":")
    if not place or not name:
        raise InputError(
            f"expected a model as 'package.module:name' or 'path/to/file.py:name', got {factory!r}"
        )
    if place.endswith(".py"):
        module = _from_file(Path(place))
    else:
        with _importable(Path.cwd()):
            module = readable(lambda: importlib.import_module(place), f"module {place!r}")
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"{factory!r}: expected {part!r} in {place}, got none of that name")
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{factory!r}: expected a class or a function, got {type(found).__name__}")
    return found


def _from_file(path: Path) -> ModuleType:
    """The module that a file holds, under a name of its own; files beside it can be imported.

    Raises:
        InputError: If there is no such file, or it raises.
    """
    path = path.resolve()
    if not path.is_file():
        raise InputError(f"{path}: expected a Python file, got none of that name")
    content = path.read_bytes()
    # The name holds the content too: a file that changed is another module.
    name = f"{path.stem}_{sha256(str(path).encode() + content).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: expected a Python file, got one that cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it runs
    loader = spec.loader
    try:
        with _importable(path.parent):
            readable(lambda: loader.exec_module(module), str(path))
    except InputError:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder first on the search path, for as long as it takes."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
