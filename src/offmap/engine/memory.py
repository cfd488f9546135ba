"""How much memory this process takes, by the operating system's own account."""

import os
import resource
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident() -> int:
    """Bytes resident now (the peak so far where the system does not tell)."""
    return _status("VmRSS") or peak()


def peak() -> int:
    """Highest resident bytes since the process began, or since `forget_peak`."""
    if high := _status("VmHWM"):
        return high
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Start a new peak, where the system can (Linux)."""
    if CLEAR.exists() and os.access(CLEAR, os.W_OK):
        CLEAR.write_text("5")


def _status(field: str) -> int:
    if not STATUS.exists():
        return 0
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


BASELINE = resident()  # of the bare import: what an audit takes is counted above it
