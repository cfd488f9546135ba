"""What a client may cost: 408, 413 and 429 instead of memory."""

import asyncio
import threading

import pytest
import torch
from fastapi import HTTPException

from offmap.attempt import InputError
from offmap.guard.serve.app import create_app
from offmap.guard.serve.limits import Limits, Room


def one(fresh, rows=1):
    return {"inputs": fresh[:rows].tolist()}


def test_room_is_given_back():
    room = Room(Limits(queue_rows=1024, queue_bytes=2**24))
    room.take(rows=1000, size=10)
    with pytest.raises(HTTPException) as error:
        room.take(rows=25)
    assert error.value.status_code == 429 and error.value.headers == {"retry-after": "1"}
    room.take(rows=24)
    room.give(rows=1024, size=10)
    with pytest.raises(HTTPException):
        room.take(size=2**24 + 1)
    room.take(rows=1024, size=2**24)


def test_limits_that_cannot_be_kept():
    for wrong in ({"rows": 0}, {"body_bytes": -1}, {"rows": 10, "queue_rows": 9},
                  {"body_bytes": 10, "queue_bytes": 9}):  # fmt: skip
        with pytest.raises(InputError):
            Limits(**wrong)


def test_too_long_a_body(client, fresh):
    ask = client(limits=Limits(body_bytes=4000))
    assert ask.post("/answer", json=one(fresh)).status_code == 200
    for path in ("/answer", "/v2/models/guard/infer"):
        response = ask.post(path, json=one(fresh, 40))
        assert response.status_code == 413 and "4,000" in response.json()["error"]
        assert response.headers["connection"] == "close"


def test_an_endless_body_is_cut_while_it_streams(guard, caller):
    """Chunked, without a length: nothing is read beyond the limit."""
    app = create_app(guard, limits=Limits(body_bytes=100_000))
    calling = caller(app, lambda _: b"[" * 1000)
    status, said = asyncio.run(calling.run())
    assert status == 413 and "100,000" in said.decode()
    assert calling.sent == 101
    assert app.state.service.room.bytes == 0


def test_a_slow_body_is_given_up(guard, caller):
    app = create_app(guard, limits=Limits(body_seconds=0.05))
    status, said = asyncio.run(caller(app, lambda k: b"[" if k < 3 else None).run())
    assert status == 408 and b"0.05 seconds" in said
    assert app.state.service.room.bytes == 0


def test_a_client_that_goes_away(guard, caller):
    app = create_app(guard)
    status, _ = asyncio.run(caller(app, lambda k: b"[" if k < 3 else caller.GONE).run())
    assert status == 400
    assert app.state.service.room.bytes == 0


def test_bodies_that_arrive_share_the_room(guard, caller):
    """Two bodies of which each is short enough, and both together are not."""
    app = create_app(guard, limits=Limits(body_bytes=1000, queue_bytes=1500))

    async def both():
        pieces = lambda k: b"[" * 100 if k < 9 else None  # noqa: E731
        first = asyncio.create_task(caller(app, pieces).run())
        while app.state.service.room.bytes < 900:
            await asyncio.sleep(0)
        status, said = await caller(app, lambda k: b"[" * 100).run()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return status, said

    status, said = asyncio.run(both())
    assert status == 429 and b"queue is full" in said
    assert app.state.service.room.bytes == 0


@pytest.fixture
def stuck(guard, monkeypatch):
    """A guard whose judging waits until it may go on."""
    may, judging = threading.Event(), threading.Event()
    forward = type(guard).judge

    def wait(self, inputs):
        judging.set()
        assert may.wait(30)
        return forward(self, inputs)

    def start():
        monkeypatch.setattr(type(guard), "judge", wait)

    return start, judging, may


def test_a_full_queue_says_so_and_forgets_nothing(client, fresh, stuck):
    start, judging, may = stuck
    ask = client(limits=Limits(rows=4, queue_rows=8, batch=4))
    start()
    statuses, lock = [], threading.Lock()

    def post():
        response = ask.post("/answer", json=one(fresh, 4))
        with lock:
            statuses.append(response.status_code)

    room = ask.app.state.service.room
    waiting = [threading.Thread(target=post) for _ in range(2)]
    for thread in waiting:
        thread.start()
    assert judging.wait(20)
    while room.rows < 8:
        pass
    for path, body in (
        ("/answer", one(fresh)),
        (
            "/v2/models/guard/infer",
            {
                "inputs": [
                    {"name": "x", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [0.1] * 64}
                ]
            },
        ),
    ):
        response = ask.post(path, json=body)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert "queue is full" in response.json()["error"]
    assert "offmap_guard_queue_rows 8.0" in ask.get("/metrics").text
    assert ask.get("/v2/health/ready").status_code == 200
    may.set()
    for thread in waiting:
        thread.join(20)
    assert statuses == [200, 200]
    assert ask.post("/answer", json=one(fresh, 4)).status_code == 200
    assert room.rows == 0 and room.bytes == 0


def test_who_waits_too_long_is_told(client, fresh, stuck):
    start, _, may = stuck
    ask = client(limits=Limits(answer_seconds=0.1, gather_seconds=0.0))
    start()
    for _ in range(3):  # the first is being judged, the others wait in line
        response = ask.post("/answer", json=one(fresh))
        assert response.status_code == 503 and "0.1 seconds" in response.json()["error"]
    room = ask.app.state.service.room
    assert room.rows == 3  # they are held until their turn, and count
    may.set()
    while room.rows:
        pass
    assert ask.app.state.service.metrics.batches._sum.get() == 1  # nobody else was judged in vain


def test_large_bodies_are_decoded_one_at_a_time(client, fresh):
    ask = client()
    body = torch.cat([fresh] * 2)[:600]
    said = ask.post("/answer", json={"inputs": body.tolist()}, params={"pictures": False})
    assert len(said.json()["answers"]) == 600
    assert ask.post("/answer", content=b"[" * 100_000, headers={
        "content-type": "application/json"}).status_code == 400  # fmt: skip
