"""Convex hull membership on MNIST, beside one matrix product and beside linear programs.

    OMP_WAIT_POLICY=passive python benchmarks/hull.py --data FOLDER

FOLDER holds mnist.npz; without --data it is $OFFMAP_DATA, or ../shared/data beside the repository.
All take turns in one process with as many threads as PyTorch has; --threads 1 is steadiest.

Raw pixels: every test image against all training images, beside one float32 product of the same
shape, by torch.mm and by the fastest means there is (of which nothing is kept). Principal
components: seconds a query, beside scipy's linprog(method="highs") on data scaled to unit range.
Every certificate is checked in float64; --agree is how many answers are compared with linprog's.
"""

import argparse
import ctypes
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import torch
from scipy.optimize import linprog
from threadpoolctl import threadpool_limits
from torch import Tensor

from offmap.numerics.hull import Membership, membership
from offmap.numerics.product import add_product

T = TypeVar("T")


def images(folder: Path) -> tuple[Tensor, Tensor]:
    with np.load(folder / "mnist.npz") as data:
        parts = [torch.from_numpy(data[name]) for name in ("x_train", "x_test")]
    train, test = (part.reshape(len(part), -1).float() / 255 for part in parts)
    return train, test


def components(train: Tensor, test: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Leading principal components of the training images."""
    mean = train.double().mean(0)
    centered = train.double() - mean
    basis = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, :count]
    return (centered @ basis).float(), ((test.double() - mean) @ basis).float()


def timed(call: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    answer = call()
    return answer, time.perf_counter() - begin


def product(queries: Tensor, points: Tensor, multiply: Callable[[Tensor, Tensor], Tensor]) -> None:
    for part in points.split(2048):
        for some in queries.split(1024):
            multiply(some, part)


def by_mm(queries: Tensor, points: Tensor) -> Tensor:
    return torch.mm(queries, points.T)


def by_onednn(queries: Tensor, points: Tensor) -> Tensor:
    return add_product(points.new_zeros(len(points)), queries, points)


def peak(call: Callable[[], object]) -> float:
    """The most MiB of resident memory above those at the start."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    process, done = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    done.set()
    watcher.join()
    return (most - before) / 2**20


def checked(found: Membership, points: Tensor, queries: Tensor) -> str:
    """Every certificate, in float64, by other sums than those that made it."""
    radius = (points.double() - points.double().mean(0)).square().sum(1).mean().sqrt().item()
    inside, outside = found.inside.nonzero().flatten(), (~found.inside).nonzero().flatten()
    weights = found.weights[inside]
    off = torch.zeros(len(inside), queries.shape[1], dtype=torch.float64)
    for slot in range(weights.shape[1]):
        off += weights[:, slot, None] * points[found.rows[inside, slot].clamp(min=0)].double()
    off = (off - queries[inside].double()).norm(dim=1)
    assert bool((weights >= 0).all()) and bool(((weights.sum(1) - 1).abs() < 1e-12).all())
    assert bool((off <= 1e-6 * radius).all())
    margin = torch.full((len(outside),), torch.inf, dtype=torch.float64)
    own = (found.normal[outside] * queries[outside].double()).sum(1)
    for part in points.split(2048):
        highest = (part.double() @ found.normal[outside].T).amax(0)
        margin = torch.minimum(margin, own - highest)
    assert bool((margin > 0).all())
    least = margin.amin().item() / radius if len(margin) else 0.0
    return (
        f"{len(inside)} inside, residual at most {off.amax().item() if len(off) else 0:.1e}; "
        f"{len(outside)} outside, margin at least {least:.1e} of the radius; "
        f"{int(found.boundary.sum())} at the boundary"
    )


def raw(train: Tensor, test: Tensor, settings: argparse.Namespace) -> None:
    calls: dict[str, Callable[[], object]] = {
        "offmap": lambda: membership(train, test),
        "torch.mm": lambda: product(test, train, by_mm),
        "fastest": lambda: product(test, train, by_onednn),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(settings.repeats):
        for name, call in calls.items():
            seconds[name].append(timed(call)[1])
    found = membership(train, test)
    print(f"raw pixels: {len(test)} x {len(train)} x {train.shape[1]}, {settings.threads} threads")
    print(f"  {checked(found, train, test)}; {found.screened:.2%} by screening")
    for name in ("torch.mm", "fastest"):
        ratios = [a / b for a, b in zip(seconds["offmap"], seconds[name], strict=True)]
        print(
            f"  {min(seconds['offmap']):.2f} s, product by {name} {min(seconds[name]):.2f} s: "
            f"{min(seconds['offmap']) / min(seconds[name]):.2f} of it at best, "
            f"{statistics.median(ratios):.2f} in the median round"
        )
    for budget in settings.memory:
        held = peak(lambda budget=budget: membership(train, test, memory=budget * 2**20))
        result = sum(
            getattr(found, name).nbytes
            for name in ("normal", "weights", "rows", "margin", "residual")
        )
        print(f"  {held - result / 2**20:.0f} MiB held beside the result, of {budget} allowed")


def program(points: np.ndarray, query: np.ndarray) -> bool | None:
    """Inside or not; None where HiGHS gives up."""
    found = linprog(
        np.zeros(len(points)),
        A_eq=np.vstack((points.T, np.ones(len(points)))),
        b_eq=np.append(query, 1.0),
        method="highs",
    )
    return {0: True, 2: False}.get(found.status)


def reduced(train: Tensor, test: Tensor, count: int, settings: argparse.Namespace) -> None:
    points, queries = components(train, test, count)
    found, seconds = timed(lambda: membership(points, queries))
    for _ in range(settings.repeats - 1):
        seconds = min(seconds, timed(lambda: membership(points, queries))[1])
    print(f"{count} components: {checked(found, points, queries)}")
    low, high = points.amin(0), points.amax(0)
    unit = [((part - low) / (high - low)).double().numpy() for part in (points, queries)]
    chosen = np.linspace(0, len(queries) - 1, max(settings.agree, settings.programs)).astype(int)
    order = np.random.default_rng(0).permutation(chosen)
    answers, spent = [], []
    for query in order:
        answer, took = timed(lambda query=query: program(unit[0], unit[1][query]))
        answers.append(answer)
        spent.append(took)
        if len(answers) >= settings.programs and len(answers) >= settings.agree:
            break
    each, other = seconds / len(queries), statistics.mean(spent[: settings.programs])
    wrong = sum(a is (not found.inside[q].item()) for a, q in zip(answers, order, strict=False))
    print(
        f"  {1e3 * each:.2f} ms a query; linprog {1e3 * other:.0f} ms: {other / each:.0f} times "
        f"as fast; {wrong} of {len(answers)} answers differ, {answers.count(None)} have none"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OFFMAP_DATA", beside)))
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--programs", type=int, default=20, help="linear programs that are timed")
    parser.add_argument("--agree", type=int, default=20, help="answers compared with linprog's")
    parser.add_argument("--components", type=int, nargs="*", default=[10, 20, 30])
    parser.add_argument("--memory", type=int, nargs="*", default=[128, 512], help="MiB")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    train, test = images(settings.data)
    test = test[: settings.queries]
    with threadpool_limits(settings.threads):
        raw(train, test, settings)
        for count in settings.components:
            reduced(train, test, count, settings)


if __name__ == "__main__":
    main()
