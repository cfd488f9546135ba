"""The guard as a service: HTTP on one side, one thread that judges on the other.

Everything here but this file needs the extra `serve`.
"""

from importlib import import_module
from types import ModuleType

from offmap.attempt import Failure, InputError, attempt


def service() -> ModuleType:
    """The module `run`, whose `serve` starts the service.

    Raises:
        InputError: If what it needs is not installed.
    """
    found = attempt(lambda: import_module("offmap.guard.serve.run"))
    if isinstance(found, Failure):
        raise InputError(
            f"expected FastAPI, uvicorn and prometheus-client to serve a guard, got "
            f"{found.summary}: pip install 'offmap[serve]'"
        )
    return found
