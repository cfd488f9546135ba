"""Nearest rows of a bank inside a network, against the bare product, faiss and scikit-learn.

    OMP_WAIT_POLICY=passive python benchmarks/bank.py --rows 60000 --dimension 64 --threads 1

All take turns in one process, with as many threads; what is printed are median milliseconds, and
those of `nearest` over those of the others: below 1 it is the faster. The bare product is all that
an exact search without bounds has to do, written out; `screened` is how a fitted score searches.
Then: thinning to a tenth, and faiss along a graph.
"""

import argparse
from time import perf_counter

import faiss
import torch
from common import interleaved
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from offmap.numerics.bank import Tiles, lengths, nearest, thinned, worthwhile
from offmap.scores.faiss_index import FaissIndex


def compare(bank: torch.Tensor, queries: torch.Tensor, k: int, repeats: int) -> None:
    array, asked = bank.numpy(), queries.numpy()
    flat = faiss.IndexFlatL2(bank.shape[1])
    flat.add(array)
    brute = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(array)
    tiles = Tiles(bank, lengths(bank), worthwhile(bank))
    calls = {
        "nearest": lambda: nearest(queries, bank, k=k),
        "screened": lambda: tiles.nearest(queries, k),
        "product": lambda: queries @ bank.T,
        "faiss": lambda: flat.search(asked, k),
        "sklearn": lambda: brute.kneighbors(asked),
    }
    interleaved(calls, 1)
    seconds = interleaved(calls, repeats)
    own = seconds["nearest"]
    print(
        f"{len(queries):7} {k:4}",
        *(f"{1e3 * each:9.2f}" for each in seconds.values()),
        *(f"{own / seconds[name]:9.2f}" for name in ("screened", "product", "faiss", "sklearn")),
    )


def thin(bank: torch.Tensor, queries: torch.Tensor) -> None:
    most = len(bank) // 10
    begin = perf_counter()
    found = thinned(bank, most, generator=torch.Generator().manual_seed(0))
    took = perf_counter() - begin
    begin = perf_counter()
    product = bank @ bank[:most].T
    bare = perf_counter() - begin
    sample = torch.randperm(len(bank), generator=torch.Generator().manual_seed(0))[:most]
    drawn = nearest(bank, bank[sample], k=1)[0].max().item()
    print(
        f"thinned to {most}: {took:.2f} s, {took / bare:.1f} bare products with as many rows; "
        f"radius {found.radius:.3g}, of a random sample as large {drawn:.3g}"
    )
    del product


def graph(bank: torch.Tensor, queries: torch.Tensor, k: int, repeats: int) -> None:
    begin = perf_counter()
    index = FaissIndex(bank, approximate=True)
    built = perf_counter() - begin
    calls = {
        "graph": lambda: index.nearest(queries, k),
        "tiles": lambda: nearest(queries, bank, k=k),
    }
    seconds = interleaved(calls, repeats)
    recall = index.recall(queries, k)
    print(
        f"faiss HNSW: built in {built:.1f} s; {len(queries)} queries take "
        f"{seconds['graph'] / seconds['tiles']:.2f} of the time of tiles and find "
        f"{recall.value:.1%} ({recall.low:.1%} to {recall.high:.1%}) of the {k} nearest"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--inner", type=int, default=10, help="dimensions that the rows fill")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    faiss.omp_set_num_threads(settings.threads)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(settings.inner, settings.dimension, generator=generator)

    def rows(count: int) -> torch.Tensor:
        """As features behind a ReLU: on a curved surface of few dimensions."""
        return (torch.randn(count, settings.inner, generator=generator) @ maps).relu()

    bank, queries = rows(settings.rows), rows(1024)
    center = bank.mean(dim=0)
    bank, queries = bank - center, queries - center
    print(f"bank {settings.rows} x {settings.dimension}, {settings.threads} threads")
    print(
        "queries    k   nearest  screened   product     faiss   sklearn "
        "/screened  /product    /faiss  /sklearn"
    )
    with torch.inference_mode(), threadpool_limits(settings.threads):
        for k in (1, 10, 50):
            for count in (1, 64, 256, 1024):
                compare(bank, queries[:count], k, settings.repeats)
        thin(bank, queries)
        graph(bank, queries, 10, settings.repeats)


if __name__ == "__main__":
    main()
