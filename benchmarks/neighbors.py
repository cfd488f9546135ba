"""Exact nearest neighbors: offmap, faiss and scikit-learn side by side, on MNIST.

    OMP_WAIT_POLICY=passive python benchmarks/neighbors.py --queries 10000 --repeats 3 --data FOLDER

FOLDER holds mnist.npz; without --data it is $OFFMAP_DATA, or ../shared/data beside the repository.
The three run in turn in one process, with as many threads as PyTorch has. Seconds are those of the
best round; offmap's seconds over the others' are given for the best rounds and as the median over
rounds. Threads that spin while they wait are several times slower with others at work on the same
cores, hence the variable; --threads 1 is steady too.
"""

import argparse
import ctypes
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import psutil
import torch
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from offmap.numerics.neighbors import search

Answer = tuple[np.ndarray, np.ndarray]  # distances, indices


def offmap_search(queries: np.ndarray, bank: np.ndarray, k: int) -> Answer:
    found = search(torch.from_numpy(queries), torch.from_numpy(bank), k=k)
    return found.distance.numpy(), found.index.numpy()


def faiss_search(queries: np.ndarray, bank: np.ndarray, k: int) -> Answer:
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank)
    squares, rows = index.search(queries, k)
    return np.sqrt(squares), rows


def sklearn_search(queries: np.ndarray, bank: np.ndarray, k: int) -> Answer:
    model = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(bank)
    return model.kneighbors(queries)


PEERS = {"offmap": offmap_search, "faiss": faiss_search, "sklearn": sklearn_search}


def watched(call: Callable[[], Answer]) -> tuple[Answer, float, float]:
    """The answer, seconds, and the most MiB of resident memory above those at the start."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what the peer before has freed counts for no one
    process, done = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    answer = call()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return answer, seconds, (most - before) / 2**20


def truth(queries: np.ndarray, bank: np.ndarray, k: int) -> Answer:
    """Float64 differences, one query at a time."""
    bank = bank.astype(np.float64)
    distances, rows = [], []
    for query in queries.astype(np.float64):
        distance = np.sqrt(((bank - query) ** 2).sum(1))
        order = np.argsort(distance, kind="stable")[:k]
        distances.append(distance[order])
        rows.append(order)
    return np.array(distances), np.array(rows)


def images(folder: Path, queries: int, bank: int, offset: float) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / "mnist.npz") as data:
        test, train = data["x_test"][:queries], data["x_train"][:bank]
    test, train = (part.reshape(len(part), -1).astype(np.float32) / 255 for part in (test, train))
    return test + np.float32(offset), train + np.float32(offset)


def compare(queries: np.ndarray, bank: np.ndarray, settings: argparse.Namespace) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    peak: dict[str, list[float]] = {name: [] for name in PEERS}
    answers: dict[str, Answer] = {}
    for _ in range(settings.repeats):
        for name, call in PEERS.items():
            answer, took, held = watched(lambda call=call: call(queries, bank, settings.k))
            answers[name] = answer
            seconds[name].append(took)
            peak[name].append(held)
    sample = np.linspace(0, len(queries) - 1, min(settings.sample, len(queries))).astype(int)
    distance, rows = truth(queries[sample], bank, settings.k)
    print(
        f"{'':8} {'seconds':>8} {'best':>6} {'median':>6} {'max |error|':>11} {'same rows':>9} MiB"
    )
    for name, (found, index) in answers.items():
        ratios = [a / b for a, b in zip(seconds["offmap"], seconds[name], strict=True)]
        best = min(seconds[name])
        print(
            f"{name:8} {best:8.2f} {min(seconds['offmap']) / best:6.2f} "
            f"{statistics.median(ratios):6.2f} "
            f"{np.abs(found[sample] - distance).max():11.1e} "
            f"{(index[sample] == rows).mean():9.2%} {max(peak[name]):3.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OFFMAP_DATA", beside)))
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--bank", type=int, default=60_000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sample", type=int, default=50, help="queries compared with float64")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    faiss.omp_set_num_threads(settings.threads)
    with threadpool_limits(settings.threads):
        for offset in (0, 100):
            queries, bank = images(settings.data, settings.queries, settings.bank, offset)
            print(
                f"MNIST/255 + {offset}: {len(queries)} queries, {len(bank)} rows of "
                f"{bank.shape[1]} float32, k={settings.k}, {settings.threads} threads"
            )
            compare(queries, bank, settings)


if __name__ == "__main__":
    main()
