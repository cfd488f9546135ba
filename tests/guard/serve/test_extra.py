"""Without the extra the package is whole, and serving is one sentence."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "prometheus_client"])
def test_what_is_missing_is_said(missing):
    code = f"""
import sys
sys.modules[{missing!r}] = None
import offmap.guard.fit, offmap.guard.stream
from offmap.attempt import InputError
from offmap.guard.serve import service
try:
    service()
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert missing in done.stdout and "pip install 'offmap[serve]'" in done.stdout


def test_nothing_else_loads_it():
    code = "import sys, offmap.cli, offmap.guard.fit; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"fastapi", "uvicorn", "starlette", "prometheus_client"} & {*done.stdout.split()}
