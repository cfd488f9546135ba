"""The service as a process: signals, slow clients, a kill under load. Plain sockets throughout."""

import gc
import json
import signal
import socket
import threading
from contextlib import closing, suppress
from time import monotonic, sleep

import pytest

from offmap.guard.serve.run import serve

ROW = [0.9, 0.1, 0.2, 0.3]
FAR = [0.0, 0.0, 0.0, 1.0]  # where no class has any evidence


def head(path, length, method="POST", **headers):
    lines = [f"{method} {path} HTTP/1.1", "host: x", "content-type: application/json",
             *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items())]  # fmt: skip
    if length is not None:
        lines.append(f"content-length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def connect(server):
    return closing(socket.create_connection(("127.0.0.1", server.port), timeout=30))


def answer(sock):
    """Status and body of one response."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (got := sock.recv(65536))
        if not got:
            raise ConnectionError("the service hung up")
    top, _, body = data.partition(b"\r\n\r\n")
    lines = top.decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
    while len(body) < length:
        body += sock.recv(65536)
    return int(lines[0].split()[1]), json.loads(body)


def ask(server, path="/answer", rows=(ROW,), method="POST"):
    body = json.dumps({"inputs": rows}).encode() if method == "POST" else b""
    with connect(server) as sock:
        sock.sendall(head(path, len(body), method) + body)
        return answer(sock)


@pytest.fixture(scope="module")
def running(shared_server):
    limits = {"body_bytes": 50_000, "header_seconds": 0.5, "body_seconds": 0.5, "connections": 20}
    return shared_server(limits=limits)


def test_it_answers_on_loopback(running):
    status, said = ask(running)
    assert status == 200 and said["answers"][0]["prediction"] == 0
    assert ask(running, "/v2/health/ready", method="GET")[1]["ready"] is True
    hosts = {line["event"].split()[3] for line in running.lines() if "running on" in line["event"]}
    assert hosts == {f"http://127.0.0.1:{running.port}"}


def test_an_oversized_body_is_cut_off(running):
    """Announced, and chunked without a length: the answer comes before the body has ended."""
    with connect(running) as sock:
        sock.sendall(head("/answer", 10**12))
        status, said = answer(sock)
        assert status == 413 and "50,000" in said["error"]
        assert sock.recv(1) == b""  # it hangs up
    with connect(running) as sock:
        sock.sendall(head("/answer", None, transfer_encoding="chunked"))
        for _ in range(60):
            sock.sendall(b"400\r\n" + b"[" * 1024 + b"\r\n")
        assert answer(sock)[0] == 413


def test_slow_clients_are_given_up(running):
    """Slow with the head, slow with the body, silent after an answer."""
    with connect(running) as slow, connect(running) as half, connect(running) as quiet:
        slow.sendall(b"POST /answer HTTP/1.1\r\nhos")
        half.sendall(head("/answer", 1000) + b'{"inputs"')
        quiet.sendall(head("/v2/health/live", 0, "GET"))
        assert answer(quiet)[0] == 200
        assert answer(half)[0] == 408
        for sock in (slow, quiet):
            with suppress(ConnectionResetError):
                assert sock.recv(1) == b""
    assert ask(running)[0] == 200


def test_idle_connections_do_not_lock_others_out(running):
    """More of them than may be open: they are dropped after a while, and the rest is served."""
    held = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(25)]
    end, status = monotonic() + 20, 503
    while status != 200 and monotonic() < end:
        try:
            status = ask(running)[0]
        except (ConnectionError, json.JSONDecodeError):
            sleep(0.05)  # too many at once: 503 in plain text
    for sock in held:
        sock.close()
    assert status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 9,
        b"GET /" + b"a" * 40_000,
        b"POST /answer HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http(running, data):
    with connect(running) as sock:
        sock.sendall(data)
        with suppress(ConnectionResetError):
            sock.recv(4096)
    assert ask(running)[0] == 200


def test_a_log_of_json_without_inputs(running):
    secret = "secret-words"
    ask(running, rows=[secret, [0.1234567, 2.0]])
    ask(running, f"/answer?secret={secret}")
    for line in running.lines():
        assert {"time", "level", "event"} <= set(line)
        assert secret not in str(line) and "0.1234" not in str(line)
    text = running.log.read_text()
    assert "Traceback" not in text and '"route": "/answer"' in text


def test_stopping_finishes_what_was_accepted(server):
    """SIGTERM while requests are judged and wait: each gets its answer, then the process ends."""
    one = server(seconds=0.3, limits={"gather_seconds": 0.0, "batch": 1})
    said, socks = [], [socket.create_connection(("127.0.0.1", one.port)) for _ in range(5)]
    body = json.dumps({"inputs": [ROW]}).encode()
    for sock in socks:
        sock.sendall(head("/answer", len(body)) + body)
    while "queue_rows 5.0" not in metrics(one):
        pass
    one.process.send_signal(signal.SIGTERM)
    for sock in socks:
        sock.settimeout(30)
        said.append(answer(sock))
        sock.close()
    assert [status for status, _ in said] == [200] * 5
    assert all(content["answers"][0]["accepted"] is not None for _, content in said)
    assert one.process.wait(30) in (0, -signal.SIGTERM)
    assert "stopped" in {line["event"] for line in one.lines()}
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", one.port), timeout=2)


def metrics(server):
    with connect(server) as sock:
        sock.sendall(head("/metrics", 0, "GET"))
        data = b""
        while b"offmap_guard_state_kept" not in data and b"drift_inputs " not in data:
            data += sock.recv(65536)
        return data.decode()


def test_a_kill_under_load_and_a_restart(server, tmp_path):
    """The stream alarm goes on where it was; nobody was told anything but answers."""
    state = str(tmp_path / "state.db")
    one = server(state=state)
    stop, wrong, done = threading.Event(), [], []

    def load():
        while not stop.is_set():
            try:
                status, said = ask(one, rows=[FAR, ROW] * 5)
            except (OSError, ConnectionError, StopIteration):
                return  # killed
            done.append(len(said["answers"]))
            if status != 200:
                wrong.append(said)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    while sum(done) < 600:
        sleep(0.01)
    seen = ask(one, "/alarm", method="GET")[1]
    sleep(1.0)  # what was seen up to here is older than the last second
    one.end(signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not wrong
    two = server(state=state)
    kept = ask(two, "/alarm", method="GET")[1]
    assert seen["inputs"] <= kept["inputs"] <= sum(done) + 30
    assert kept["on"] is True  # half of the traffic was far away
    status, said = ask(two)
    assert status == 200 and said["alarm"] is True
    assert said["answers"][0]["reason"] == "drift" and not said["answers"][0]["accepted"]


def test_what_cannot_be_started_says_so(server):
    with pytest.raises(AssertionError, match="InputError: expected an address that is free"):
        server(host="203.0.113.1")  # an address that nobody has


def test_what_is_loaded_is_never_walked_again(guard, monkeypatch):
    """A full collection of it would hold up every request, a few times a minute or more."""
    frozen = []
    monkeypatch.setattr("uvicorn.Server.run", lambda _: frozen.append(gc.get_freeze_count()))
    before = gc.get_freeze_count()
    try:
        serve(guard, port=0, drift=None)
    finally:
        gc.unfreeze()
    assert frozen[0] > before + 10_000
