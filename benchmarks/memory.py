"""`memory="1GiB"` on CIFAR-10 with features larger than that: peak memory and unchanged numbers.

    python benchmarks/memory.py --data PATH/TO/DATA

Each audit runs in a process of its own, which reports its peak above that of the bare import.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

MEASURES = ("calibration_error", "generalization_gap", "neural_collapse", "effective_rank")
SEARCHES = ("train_feature_distance",)


def child(data: Path, memory: str, searches: bool) -> None:
    import torch
    from torch import nn

    import offmap
    from offmap.audit import parse_bytes
    from offmap.engine import memory as process

    class Wide(nn.Module):
        """One convolution whose 6,144 outputs are the features."""

        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.ReLU(), nn.Flatten()
            )
            self.head = nn.Linear(24 * 16 * 16, 10)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(inputs))

    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        model = Wide()
    train, test = (
        offmap.load_split(data / f"cifar10-{name}.parquet", name=name, memory=parse_bytes(memory))
        for name in ("train", "test")
    )
    report = offmap.audit(
        offmap.TrainingRun(model, train, test),
        only=MEASURES + (SEARCHES if searches else ()),
        memory=memory,
    )
    numbers = {
        f"{entry.measure} {entry.split}": [
            entry.reading.value,
            entry.reading.low,
            entry.reading.high,
        ]
        for entry in report.entries
        if entry.reading
    }
    # the highest peak of any task, and the peak of what came after the last of them
    peak = max(report.provenance.peak_bytes, process.peak() - process.BASELINE)
    sys.stdout.write(json.dumps({"peak": peak, "numbers": numbers}) + "\n")


def measured(data: Path, memory: str, searches: bool) -> dict:
    command = [sys.executable, __file__, "--data", str(data), "--child", memory]
    done = subprocess.run(
        command + (["--searches"] if searches else []), check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OFFMAP_DATA", beside)))
    parser.add_argument("--child", help="used by the benchmark itself")
    parser.add_argument(
        "--searches", action="store_true", help="feature distances as well (minutes)"
    )
    given = parser.parse_args()
    if given.child:
        child(given.data, given.child, given.searches)
        return
    small = measured(given.data, "1GiB", given.searches)
    large = measured(given.data, "8GiB", given.searches)
    features = 50_000 * 6144 * 4 / 2**30
    sys.stdout.write(
        f"features of train {features:.2f} GiB\n"
        f"peak above the bare import: {small['peak'] / 2**30:.2f} GiB at 1GiB (at most 1.25), "
        f"{large['peak'] / 2**30:.2f} GiB at 8GiB\n"
        f"numbers unchanged: {small['numbers'] == large['numbers']}\n"
    )


if __name__ == "__main__":
    main()
