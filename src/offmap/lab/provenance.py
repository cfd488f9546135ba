"""Where findings come from: versions, commit, command and machine."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from offmap.engine.place import versions

CPUS = Path("/proc/cpuinfo")


def provenance(threads: int, engine: str) -> dict[str, str]:
    """Everything needed to tell where numbers come from, and to get them again.

    Args:
        threads: That each trial computed with.
        engine: Where they ran.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **versions(),
        "commit": commit(),
        "command": command(),
        "machine": machine(),
        "threads": str(threads),
        "engine": engine,
    }


@cache
def commit() -> str:
    """Of the source that runs, in a git checkout; with a plus sign if it was changed since."""
    git = shutil.which("git")
    root = Path(__file__).parents[3]
    if git is None or not (root / ".git").exists():
        return ""
    said = subprocess.run(
        [git, "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return said.stdout.strip()


def command() -> str:
    """How this program was started, the folders of the machine left out."""
    program, *arguments = sys.argv
    return shlex.join([Path(program).name, *map(_short, arguments)])


def machine() -> str:
    """Processor, cores and memory."""
    model = platform.processor() or platform.machine()
    if CPUS.exists():
        names = [line for line in CPUS.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, {os.cpu_count()} cores"


def _short(argument: str) -> str:
    """An argument without the folders of an absolute path."""
    return Path(argument).name if Path(argument).is_absolute() else argument
