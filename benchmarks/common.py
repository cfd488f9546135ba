"""What the benchmarks share: where the data is, and how two things are timed fairly."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter


def data_folder(description: str | None) -> Path:
    """The folder given by `--data`, by OFFMAP_DATA, or beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OFFMAP_DATA", beside)))
    return parser.parse_args().data


def interleaved(calls: dict[str, Callable[[], object]], repeats: int = 3) -> dict[str, float]:
    """Median seconds of each call, taken in turn so that a drifting machine hurts all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            begin = perf_counter()
            call()
            seconds[name].append(perf_counter() - begin)
    return {name: median(values) for name, values in seconds.items()}
