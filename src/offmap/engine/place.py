"""Where work runs and with what: the engine of a name, threads, and the versions in use."""

import os
import platform
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version

import numpy as np
import torch

from offmap.attempt import Failure, InputError, attempt
from offmap.engine.local import run_local

MOST_THREADS = 8


def engine_called(name: str) -> Callable[..., None]:
    """The function that does the work where the user wants it.

    Raises:
        InputError: If there is no such place, or Ray is not installed.
    """
    if name == "local":
        return run_local
    if name == "ray" or name.startswith("ray://"):
        found = attempt(lambda: import_module("offmap.engine.ray"))
        if isinstance(found, Failure):
            raise InputError(
                f"expected Ray for --engine {name}, got {found.summary}: pip install 'offmap[ray]'"
            )
        return partial(found.run_ray, address=name)
    raise InputError(f"expected local, ray or ray://host:port, got {name!r}")


def threads_of(given: int | None) -> int:
    """The threads that were asked for; as many as there are cores where none were, at most 8.

    Raises:
        InputError: If it is fewer than one.
    """
    if given is not None and given < 1:
        raise InputError(f"expected at least one thread, got {given}")
    return given or min(MOST_THREADS, os.cpu_count() or 1)


def versions() -> dict[str, str]:
    """Of offmap, Python, torch and numpy, and the platform."""
    return {
        "offmap": version("offmap"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
