"""The plan's estimates against what the work then took, for all that takes over half a second.

python benchmarks/plan.py --data PATH/TO/DATA
"""

import sys

import torch
from common import data_folder

from offmap import Domain, TrainingRun, audit, load_split
from offmap.demo import digits
from offmap.models import CNN
from offmap.report.report import Report
from offmap.run import Recipe
from offmap.train import trainer

LEAST = 0.5  # seconds


def mnist(data) -> TrainingRun:
    train = load_split(data / "mnist.npz", name="train")
    test = load_split(data / "mnist.npz", name="test")
    recipe = Recipe(
        lambda: CNN(1, 10, width=8, size=28),
        lambda parameters: torch.optim.Adam(parameters, lr=2e-3),
        torch.nn.functional.cross_entropy,
        epochs=1,
        batch_size=128,
    )
    few = train.take(torch.arange(6000))
    model = trainer(recipe)(few, torch.Generator().manual_seed(0))
    domain = Domain((1, 28, 28), torch.float32, 0.0, 1.0, "image")
    return TrainingRun(model, few, test, domain=domain, recipe=recipe, name="MNIST")


def pairs(report: Report) -> list[tuple[str, float, float]]:
    """Name, estimated and real seconds of every reading and of all shared work."""
    planned = {(item.measure, item.split): item.seconds for item in report.plan.runs}
    found = [
        (f"{e.measure} {e.split}", planned[e.measure, e.split], e.seconds)
        for e in report.entries
        if (e.measure, e.split) in planned and e.reading is not None
    ]
    took = report.provenance.shared_seconds
    return found + [(work.work, work.seconds, took[work.work]) for work in report.plan.shared]


def main() -> None:
    data = data_folder(__doc__)
    within, lines = [], []
    for run in (digits(), mnist(data)):
        for name, said, took in pairs(audit(run)):
            if took > LEAST:
                ratio = said / took
                within.append(0.5 <= ratio <= 2)
                lines.append(
                    f"{run.name:<8}{name:<40}{said:8.2f} s said {took:8.2f} s took  {ratio:.2f}"
                )
    share = sum(within) / len(within)
    sys.stdout.write("\n".join(lines) + f"\nwithin a factor 2: {share:.0%} (at least 80%)\n")


if __name__ == "__main__":
    main()
