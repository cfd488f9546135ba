"""All forward-cost measures on MNIST against one plain forward pass over the same images.

    python benchmarks/forward.py --data PATH/TO/DATA

Pairwise distance work, report rendering and the plan's rehearsal are printed apart.
"""

import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter

import torch
from common import data_folder

from offmap import Domain, TrainingRun, audit, load_split
from offmap.engine.graph import Task
from offmap.models import CNN
from offmap.reading import Entry
from offmap.run import Split
from offmap.train import Recipe, trainer


class Stopwatch:
    """Seconds of each kind of task."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self.seconds: dict[str, float] = {}
        self.began = 0.0
        watches.append(self)

    def begin(self, tasks: Iterable[Task], reused: int) -> None:
        pass

    def start(self, task: Task) -> None:
        self.began = perf_counter()

    def finish(self, task: Task, entry: Entry | None) -> None:
        name = task.unit if task.kind == "reading" else task.kind
        self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - self.began


watches: list[Stopwatch] = []


def plain(model: torch.nn.Module, splits: Iterable[Split]) -> float:
    """Seconds of a loop over batches of 256 that keeps the logits."""
    begin = perf_counter()
    model.eval()
    with torch.no_grad():
        for split in splits:
            torch.cat([model(batch.inputs) for batch in split.batches(256)])
    return perf_counter() - begin


def main() -> None:
    data = data_folder(__doc__)
    train = load_split(data / "mnist.npz", name="train")
    test = load_split(data / "mnist.npz", name="test")
    recipe = Recipe(
        lambda: CNN(1, 10, width=16, size=28),
        lambda parameters: torch.optim.Adam(parameters, lr=2e-3),
        torch.nn.functional.cross_entropy,
        epochs=1,
        batch_size=128,
    )
    few = train.take(torch.arange(6000))
    model = trainer(recipe)(few, torch.Generator().manual_seed(0))
    run = TrainingRun(
        model, train, test, domain=Domain((1, 28, 28), torch.float32, 0.0, 1.0, "image")
    )

    ratios, lines = [], []
    for _ in range(3):
        once = plain(model, (train, test))
        with tempfile.TemporaryDirectory() as out:
            begin = perf_counter()
            audit(run, out=Path(out), max_cost="forward", watcher=Stopwatch)
            whole = perf_counter() - begin
        seconds = watches[-1].seconds
        searches = sum(seconds.pop(kind, 0.0) for kind in ("neighbors", "feature_neighbors"))
        measures = sum(seconds.values())
        ratios.append(measures / once)
        lines.append(
            f"plain forward {once:6.2f} s | all forward-cost measures {measures:6.2f} s, "
            f"ratio {ratios[-1]:.2f} | searches {searches:6.2f} s | "
            f"survey, plan, report {whole - measures - searches:6.2f} s"
        )
        for name, value in sorted(seconds.items(), key=lambda item: -item[1])[:8]:
            lines.append(f"    {name:<26} {value:6.2f} s  {value / once:.2f}")
    sys.stdout.write("\n".join(lines) + f"\nmedian ratio {sorted(ratios)[1]:.2f} (at most 2)\n")


if __name__ == "__main__":
    main()
