"""A guard around a small network of digits, and clients for its service."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest
import torch
from sklearn.datasets import load_digits
from starlette.testclient import TestClient
from torch import nn
from torch.nn import functional

from offmap.guard.fit import fit_guard
from offmap.guard.serve.app import create_app
from offmap.run import Recipe, Split
from offmap.train import trainer

TRAIN, CALIBRATION = 500, 600
POISON = 0.123456789  # a first pixel on which the network of `touchy` raises


class Touchy(nn.Module):
    """A network that raises on some inputs, and says in its error what they were."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.head = nn.Linear(32, 10)

    def forward(self, inputs):
        if bool((inputs[:, 0, 0, 0] == torch.tensor(POISON)).any()):
            raise RuntimeError(f"secret {inputs.flatten().tolist()}")
        return self.head(self.body(inputs))


@pytest.fixture(scope="session")
def digits():
    """Images [n, 1, 8, 8] in [0, 1] and classes [n]."""
    pixels, classes = load_digits(return_X_y=True)
    return torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(classes)


@pytest.fixture(scope="session")
def guard(digits):
    images, labels = digits
    train = Split(images[:TRAIN], labels[:TRAIN])
    rest = slice(TRAIN, TRAIN + CALIBRATION)
    recipe = Recipe(
        lambda: Touchy(nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU())),
        lambda weights: torch.optim.Adam(weights, lr=1e-2),
        functional.cross_entropy,
        epochs=6,
        batch_size=50,
    )
    model = trainer(recipe)(train, torch.Generator().manual_seed(0))
    names = [f"digit {number}" for number in range(10)]
    calibration = Split(images[rest], labels[rest])
    return fit_guard(model, train, calibration, score="energy", class_names=names)


@pytest.fixture(scope="session")
def fresh(digits):
    """Images that the guard has not seen."""
    return digits[0][TRAIN + CALIBRATION :]


@pytest.fixture
def poison(fresh):
    """An input on which the network raises."""
    one = fresh[3].clone()
    one[0, 0, 0] = POISON
    return one


@pytest.fixture
def client(guard):
    """Makes clients of services in this process."""
    with ExitStack() as stack:

        def make(*, raises=True, **settings):
            app = create_app(guard, **settings)
            return stack.enter_context(TestClient(app, raise_server_exceptions=raises))

        yield make


class Caller:
    """Speaks ASGI by itself: `pieces` gives each piece of a body when it is time; b"" ends it."""

    GONE = object()

    def __init__(self, app, pieces, path="/answer", kind="application/json", **headers):
        self.app, self.pieces, self.sent, self.messages = app, pieces, 0, []
        given = {"content-type": kind} | {k.replace("_", "-"): v for k, v in headers.items()}
        self.scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in given.items()], "scheme": "http",
            "server": ("x", 1), "client": ("x", 2),
        }  # fmt: skip

    async def receive(self):
        piece = self.pieces(self.sent)
        self.sent += 1
        if piece is None:
            await asyncio.sleep(60)
        if piece is self.GONE:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    async def send(self, message):
        self.messages.append(message)

    async def run(self):
        await self.app(self.scope, self.receive, self.send)
        body = b"".join(message.get("body", b"") for message in self.messages[1:])
        return self.messages[0]["status"], body


@pytest.fixture(scope="session")
def caller():
    return Caller


class Server:
    """A service in a process of its own, on a free port of loopback."""

    def __init__(self, folder: Path, **options):
        self.log = folder / f"log-{len(list(folder.iterdir()))}.jsonl"
        command = [sys.executable, str(Path(__file__).with_name("server.py")), json.dumps(options)]
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                command, stderr=file, stdout=file, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
        self.port = self._port()

    def _port(self) -> int:
        end = monotonic() + 120
        while monotonic() < end and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                if "Uvicorn running on" in line:
                    return int(json.loads(line)["event"].split()[3].rpartition(":")[2])
            sleep(0.02)
        raise AssertionError(self.log.read_text())

    def lines(self) -> list[dict]:
        """The whole log: every line of it is JSON."""
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture
def server(tmp_path):
    """Starts services in processes of their own."""
    yield from _servers(tmp_path)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """The same for a whole module."""
    yield from _servers(tmp_path_factory.mktemp("server"))


def _servers(folder):
    started = []

    def start(**options):
        started.append(Server(folder, **options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
