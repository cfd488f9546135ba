"""Shape types are enforced in every test; shared fixtures."""

import os
import shutil
from pathlib import Path

# Small problems and one process a core: more threads would only get in each other's way. Set
# before torch is imported, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

# An int is welcome where a float is asked for, as everywhere in Python (PEP 484).
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook("offmap", CHECKER)

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture
def generator() -> torch.Generator:
    """A generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the public data sets; tests that need it skip, with the reason, without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("OFFMAP_DATA", default))
    if not (folder / "mnist.npz").exists():
        pytest.skip(f"public data sets are not here: expected mnist.npz in {folder} (OFFMAP_DATA)")
    return folder


@pytest.fixture(scope="module")  # while it lives, no other event loop can run in this thread
def browser():
    """A headless Chromium that asks no other server for anything."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing = pytest.fail if "OFFMAP_REQUIRE_BROWSER" in os.environ else pytest.skip
        missing("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield started
        started.close()
