"""The guard's service against the bare network under the same server, on loopback; and a soak.

    python benchmarks/guard_service.py --data PATH/TO/DATA [--score feature_neighbors] [--soak 300]
        [--gather 2]

A small CNN on 28 x 28 digits, guarded with a bank of 60,000 examples. The clients are another
process, which takes turns between the two services. The machine drifts: of throughput and
processor time it prints the median ratio of neighboring turns, with the quartiles.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import psutil
import torch

from offmap import load_split
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.guard.verdict import Verdict
from offmap.models import CNN
from offmap.models.weights import load_weights
from offmap.run import Recipe
from offmap.train import trainer

ROUNDS, SECONDS = 13, 1.5  # of each service in turn: short, so that a round sees one machine
CLIENTS = (1, 8, 32, 64)
BINARY = "inference-header-content-length"


class Bare(torch.nn.Module):
    """The network alone, in the shape of a guard that lets everything pass."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.model, self.facts = guard.sight.model, guard.facts
        self.ruler, self.atlas = guard.ruler, guard.atlas

    def forward(self, inputs: torch.Tensor) -> Verdict:
        said = self.model(inputs).argmax(dim=-1)
        one = torch.ones(len(said), dtype=torch.double)
        return Verdict(said, one, one > 0, torch.zeros_like(said, dtype=torch.int8), one)


def serve(folder: Path, kind: str, gather: float) -> None:
    """One of the two services, in this process."""
    from offmap.guard.serve.limits import Limits
    from offmap.guard.serve.run import serve

    model = CNN(1, 10, width=16, size=28)
    load_weights(model, folder / "model.safetensors")
    guard = Guard.load(folder / "guard.safetensors", model=model.eval())
    state = folder / "state.db" if kind == "guard" else None
    serve(guard if kind == "guard" else Bare(guard), port=0, state=state,
          drift="warn" if kind == "guard" else None,
          limits=Limits(gather_seconds=gather / 1000))  # fmt: skip


@dataclass
class Service:
    """A service in a process of its own."""

    folder: Path
    kind: str
    gather: float
    process: subprocess.Popen = field(init=False)
    port: int = field(init=False)

    def __post_init__(self) -> None:
        log = self.folder / f"{self.kind}.log"
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--serve", self.kind, "--folder", str(self.folder),
                 "--gather", str(self.gather)],
                stderr=file, env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        while True:
            assert self.process.poll() is None, log.read_text()
            found = [one for one in log.read_text().splitlines() if "Uvicorn running" in one]
            if found:
                self.port = int(json.loads(found[0])["event"].split()[3].rpartition(":")[2])
                return
            psutil.Process(self.process.pid).cpu_percent(0.1)

    @property
    def busy(self) -> float:
        """Seconds of processor time so far: what others load the machine with changes it little."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    @property
    def resident(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss


def prepare(data: Path, score: str, folder: Path) -> torch.Tensor:
    """Train, fit, save; test images to ask about."""
    from safetensors.torch import save_file

    train, test = (load_split(data / "mnist.npz", name=name) for name in ("train", "test"))
    recipe = Recipe(
        lambda: CNN(1, 10, width=16, size=28), lambda w: torch.optim.Adam(w, lr=2e-3),
        torch.nn.functional.cross_entropy, epochs=1, batch_size=128,
    )  # fmt: skip
    few = train.take(torch.arange(6000))
    model = trainer(recipe)(few, torch.Generator().manual_seed(0)).eval()
    save_file(model.state_dict(), folder / "model.safetensors")
    guard = fit_guard(model, train, test.take(torch.arange(5000)), score=score, name="digits")
    guard.save(folder / "guard.safetensors")
    images = test.take(torch.arange(5000, 6000)).inputs
    alone(guard, images[:64])
    return images


def alone(guard: Guard, images: torch.Tensor) -> None:
    """Guard and network without a service around them."""
    bare = guard.sight.model
    for rows in (1, 64):
        seconds = {"bare": [], "guard": []}
        with torch.inference_mode():
            for _ in range(30):
                for name, call in (("bare", bare), ("guard", guard)):
                    begin = perf_counter()
                    call(images[:rows])
                    seconds[name].append(perf_counter() - begin)
        times = {name: 1000 * min(values) for name, values in seconds.items()}  # undisturbed
        sys.stdout.write(
            f"in process, batch of {rows:>2}: bare {times['bare']:6.2f} ms, guard "
            f"{times['guard']:6.2f} ms, ratio {times['guard'] / times['bare']:.2f}\n"
        )


# --------------------------------------------------------------------------------- the clients


def message(path: str, body: bytes, **headers: object) -> bytes:
    """One request."""
    lines = [f"POST {path} HTTP/1.1", "host: loopback", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def binary(image: torch.Tensor) -> bytes:
    """A request for one verdict, the image as raw numbers, as the usual clients send it."""
    raw = image.numpy().tobytes()
    tensor = {"name": "input", "shape": [1, *image.shape], "datatype": "FP32",
              "parameters": {"binary_data_size": len(raw)}}  # fmt: skip
    text = json.dumps({"inputs": [tensor]}).encode()
    return message(
        "/v2/models/guard/infer", text + raw, content_type="application/octet-stream",
        inference_header_content_length=len(text),
    )  # fmt: skip


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> int:
    """The status of the answer to one request."""
    writer.write(data)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, rest = head.partition(b"content-length: ")
    await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
    return int(head.split(b" ", 2)[1])


async def load(port: int, requests: list[bytes], clients: int, seconds: float) -> list[float]:
    """Clients that ask again as soon as they are answered: seconds of each request."""
    times: list[float] = []
    end = perf_counter() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for data in cycle(requests[number % len(requests) :] + requests[: number % len(requests)]):
            begin = perf_counter()
            if begin > end:
                break
            assert await exchange(reader, writer, data) == 200
            times.append(perf_counter() - begin)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return times


def compare(services: dict[str, Service], requests: list[bytes]) -> None:
    """Throughput and latency of both, in turn."""
    for service in services.values():
        asyncio.run(load(service.port, requests, 8, 2.0))
    for clients in CLIENTS:
        rates: dict[str, list[float]] = {name: [] for name in services}
        times: dict[str, list[float]] = {name: [] for name in services}
        costs: dict[str, list[float]] = {name: [] for name in services}
        for _ in range(ROUNDS):
            for name, service in services.items():
                busy = service.busy
                found = asyncio.run(load(service.port, requests, clients, SECONDS))
                costs[name].append(1000 * (service.busy - busy) / len(found))
                rates[name].append(len(found) / SECONDS)
                times[name] += found
        latency = {}
        for name in services:
            spread = torch.tensor(times[name], dtype=torch.double) * 1000
            latency[name] = spread.quantile(torch.tensor([0.5, 0.99], dtype=torch.double)).tolist()
            sys.stdout.write(
                f"{clients:>3} clients, {name:<5}: {median(rates[name]):7.0f} requests a second, "
                f"p50 {latency[name][0]:6.2f} ms, p99 {latency[name][1]:6.2f} ms, "
                f"{median(costs[name]):.2f} ms of processor each\n"
            )
        half, tail = (guard / bare for bare, guard in zip(*latency.values(), strict=True))
        sys.stdout.write(
            f"{clients:>3} clients, overhead: throughput {paired(rates['bare'], rates['guard'])}, "
            f"processor {paired(costs['guard'], costs['bare'])}, p50 {half:.2f}, p99 {tail:.2f} "
            "(at most 1.30)\n"
        )


def paired(above: list[float], below: list[float]) -> str:
    """The ratio of two things round by round: its median and quartiles."""
    ratios = [one / other for one, other in zip(above, below, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


# ------------------------------------------------------------------------------------ the soak


def mixture(images: torch.Tensor) -> list[tuple[bytes, int]]:
    """Requests of every kind, good and bad, with the status that they should get."""
    rows = images[:3].tolist()
    kind = {"content_type": "application/json"}
    return [
        *((binary(image), 200) for image in images[:20]),
        (message("/answer", json.dumps({"inputs": rows}).encode(), **kind), 200),
        (message("/answer?pictures=0", json.dumps({"inputs": [*rows, "x"]}).encode(), **kind), 200),
        (message("/answer", b'{"inputs": ' + b"[" * 5000, **kind), 400),
        (message("/answer", b"\x93NUMPY\x01\x00\xff\xff", content_type="application/x-npy"), 400),
        (message("/v2/models/other/infer", b"{}", **kind), 404),
        (message("/answer", b"x", content_type="text/plain"), 415),
    ]


async def soak(service: Service, images: torch.Tensor, seconds: float) -> list[int]:
    """Load of every kind; the resident memory, ten times over that span."""
    asks, memory = mixture(images), []
    end = perf_counter() + seconds

    async def one(number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        count = 0
        for data, status in cycle(asks[number:] + asks[:number]):
            if perf_counter() > end:
                break
            got = await exchange(reader, writer, data)
            assert got == status, (got, status)
            count += 1
        writer.close()
        return count

    async def watch() -> None:
        for _ in range(10):
            await asyncio.sleep(seconds / 10.5)
            memory.append(service.resident)

    *counts, _ = await asyncio.gather(*(one(number) for number in range(8)), watch())
    sys.stdout.write(f"soak: {sum(counts):,} requests in {seconds:.0f} s, 0 unexpected answers\n")
    return memory


async def killed(service: Service, requests: list[bytes]) -> int:
    """A kill under load; how many requests were answered before it."""
    done = 0

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        try:
            for data in cycle(requests):
                assert await exchange(reader, writer, data) == 200
                done += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def kill() -> None:
        await asyncio.sleep(4)
        service.process.send_signal(signal.SIGKILL)

    await asyncio.gather(*(one() for _ in range(8)), kill())
    service.process.wait()
    return done


def seen(service: Service) -> int:
    """Inputs that the stream alarm knows of."""
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/alarm") as answer:
        return json.load(answer)["inputs"]


def endure(
    services: dict[str, Service], images: torch.Tensor, seconds: float, folder: Path
) -> None:
    """The soak, then a kill under load and a restart."""
    guard = services["guard"]
    memory = asyncio.run(soak(guard, images, seconds))
    said = ", ".join(f"{size / 2**20:.0f}" for size in memory)
    sys.stdout.write(
        f"soak: resident memory {said} MiB; growth over the last half "
        f"{(memory[-1] - memory[4]) / 2**20:+.1f} MiB\n"
    )
    before = seen(guard)
    done = asyncio.run(killed(guard, [binary(image) for image in images]))
    services["guard"] = again = Service(folder, "guard", guard.gather)
    sys.stdout.write(
        f"SIGKILL under load: {done:,} answers before it; of {before + done:,} inputs the alarm "
        f"remembers {seen(again):,} after the restart\n"
    )


def main() -> None:
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OFFMAP_DATA", beside)))
    parser.add_argument("--score", default="feature_neighbors")
    parser.add_argument("--soak", type=float, default=300.0, metavar="SECONDS", help="0: none")
    parser.add_argument("--gather", type=float, default=2.0, help="milliseconds, as in `serve`")
    parser.add_argument("--serve", choices=("bare", "guard"), help="used by the benchmark itself")
    parser.add_argument("--folder", type=Path, help="used by the benchmark itself")
    given = parser.parse_args()
    if given.serve:
        serve(given.folder, given.serve, given.gather)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = prepare(given.data, given.score, folder)
        services = {kind: Service(folder, kind, given.gather) for kind in ("bare", "guard")}
        try:
            compare(services, [binary(image) for image in images])
            if given.soak:
                endure(services, images, given.soak, folder)
        finally:
            for service in services.values():
                service.process.kill()


if __name__ == "__main__":
    main()
