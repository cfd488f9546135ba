"""A service of a guard around a fixed network, for tests that need a process of its own."""

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn

from offmap.guard.fit import fit_guard
from offmap.guard.serve.limits import Limits
from offmap.guard.serve.run import serve
from offmap.run import Domain, Split


class Slow(nn.Module):
    """Four numbers to three classes, as slowly as it is told."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.seconds = 0.0
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(3, 4))
            self.head.bias.zero_()

    def forward(self, inputs):
        time.sleep(self.seconds)
        return self.head(inputs)


def main() -> None:
    options = json.loads(sys.argv[1])
    seconds = options.pop("seconds", 0.0)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(600, 4, generator=generator)
    targets = inputs[:, :3].argmax(dim=1)
    guard = fit_guard(
        Slow(), Split(inputs[:200], targets[:200]), Split(inputs[200:], targets[200:]),
        score="energy", domain=Domain((4,), torch.float32, 0.0, 1.0), neighbors=2,
    )  # fmt: skip
    guard.sight.model.seconds = seconds
    if "state" in options:
        options["state"] = Path(options["state"])
    serve(guard, port=0, limits=Limits(**options.pop("limits", {})), **options)


if __name__ == "__main__":
    main()
