"""Intrinsic dimension: offmap's four estimators beside their neighbor search and scikit-dimension.

    OMP_WAIT_POLICY=passive python benchmarks/dimension.py --data FOLDER

FOLDER holds mnist.npz; without --data it is $OFFMAP_DATA, or ../shared/data beside the repository.
All run in turn in one process, with as many threads as PyTorch has. The search is timed by itself
and with everything that is read off it: TwoNN, maximum likelihood, Gride at every scale, local PCA.
scikit-dimension's two search by themselves, as they do when they are called. Seconds are medians.
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
import skdim
import torch
from common import interleaved
from threadpoolctl import threadpool_limits

from offmap.numerics.dimension import (
    Neighborhoods,
    gride,
    local_pca,
    maximum_likelihood,
    neighborhoods,
    two_nn,
)
from offmap.numerics.neighbors import search


def looked_up(points: torch.Tensor, k: int) -> Neighborhoods:
    rows = torch.arange(len(points))
    found = search(points, points, k=k, exclude=rows)
    return neighborhoods(rows, found.distance, found.index)


def offmap_dimensions(points: torch.Tensor, k: int) -> dict[str, float]:
    near = looked_up(points, k)
    found = {"TwoNN": two_nn(near).value, "maximum likelihood": maximum_likelihood(near).value}
    scales = [2**power for power in range(k.bit_length()) if 2 ** (power + 1) <= k]
    found |= {f"Gride {n}:{2 * n}": gride(near, nearest=n).value for n in scales}
    return found | {"local PCA": local_pca(points, near, k=k).value}


def peer_dimensions(points: np.ndarray, k: int) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        two = skdim.id.TwoNN(method="mle", discard_fraction=0).fit(points).dimension_
        likelihood = skdim.id.MLE().fit(points, n_neighbors=min(20, k)).dimension_
    return {"TwoNN": float(two), "maximum likelihood": float(likelihood)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OFFMAP_DATA", beside)))
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    with np.load(settings.data / "mnist.npz") as data:
        pixels = data["x_train"][: settings.points]
    array = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    points = torch.from_numpy(array)
    found: dict[str, dict[str, float]] = {}
    with threadpool_limits(settings.threads):
        calls = {
            "search": lambda: looked_up(points, settings.k),
            "offmap": lambda: found.update(offmap=offmap_dimensions(points, settings.k)),
            "scikit-dimension": lambda: found.update(peer=peer_dimensions(array, settings.k)),
        }
        seconds = interleaved(calls, settings.repeats)
    print(f"MNIST/255: {array.shape}, k={settings.k}, {settings.threads} threads")
    for name, took in seconds.items():
        print(f"{name:18} {took:7.2f} s")
    print(f"search and four estimators / search: {seconds['offmap'] / seconds['search']:.2f}")
    ratio = seconds["scikit-dimension"] / seconds["offmap"]
    print(f"scikit-dimension's TwoNN and MLE / offmap's four and the search: {ratio:.1f}")
    for name, value in found["offmap"].items():
        peer = f" {found['peer'][name]:9.4f}" if name in found["peer"] else ""
        print(f"{name:20} {value:9.4f}{peer}")


if __name__ == "__main__":
    main()
