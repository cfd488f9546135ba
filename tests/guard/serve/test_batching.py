"""Requests that wait together are judged together; what one of them does harms no other."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from offmap.guard.serve.batching import Batcher, Closed
from offmap.guard.serve.judging import Drift, Job, Judge, Said
from offmap.guard.serve.limits import Limits
from offmap.guard.serve.metrics import Metrics
from offmap.guard.stream import StreamAlarm


class Slow:
    """Says of each job what it was given; waits until it may."""

    def __init__(self):
        self.may = threading.Event()
        self.batches = []

    def __call__(self, jobs):
        self.batches.append([len(job.inputs) for job in jobs])
        assert self.may.wait(20)
        return [Said(None, [job.inputs[0, 0].item()], False) for job in jobs]


def job(rows, value=0.0):
    return Job(torch.full((rows, 4), value))


def run(sizes, **limits):
    """The batches that jobs of these sizes end up in, while the first one is being judged."""
    judge = Slow()
    line = Batcher(judge, Limits(gather_seconds=0.0, **limits))
    first = line.submit(job(1, -1.0))
    while not judge.batches:  # it is being judged: the others gather meanwhile
        pass
    tickets = [line.submit(job(rows, float(k))) for k, rows in enumerate(sizes)]
    judge.may.set()
    assert first.future.result(20).answers == [-1.0]
    assert [one.future.result(20).answers for one in tickets] == [[k] for k in range(len(sizes))]
    line.close()
    return judge.batches[1:]


def test_jobs_gather_up_to_a_batch():
    assert run([1] * 7, batch=4) == [[1, 1, 1, 1], [1, 1, 1]]
    assert run([3, 2, 2, 9, 1], batch=4) == [[3], [2, 2], [9], [1]]  # order stays, none is split


def test_the_first_waits_for_others():
    judge = Slow()
    judge.may.set()
    line = Batcher(judge, Limits(gather_seconds=20.0, batch=3))
    tickets = [line.submit(job(1)) for _ in range(3)]
    for one in tickets:
        one.future.result(10)  # full: it does not wait for its time
    assert judge.batches == [[1, 1, 1]]
    last = line.submit(job(1))
    line.close()  # nor when it is stopped
    assert last.future.done() and judge.batches[1:] == [[1]]


def test_those_who_wait_in_a_loop_are_told_together():
    """One by one, who is told first would ask again before the last has been told."""
    judge = Slow()
    line = Batcher(judge, Limits(gather_seconds=20.0, batch=40))

    async def first() -> tuple[list[bool], set[int]]:
        threads: set[int] = set()
        loop = asyncio.get_running_loop()
        tickets = [line.submit(job(1), loop) for _ in range(40)]
        for ticket in tickets:
            ticket.future.add_done_callback(lambda _: threads.add(threading.get_ident()))
        judge.may.set()
        await asyncio.wrap_future(tickets[0].future)
        return [ticket.future.done() for ticket in tickets], threads

    assert asyncio.run(first()) == ([True] * 40, {threading.get_ident()})
    other = asyncio.new_event_loop()
    other.close()  # nobody waits there any more
    ticket = line.submit(job(1), other)
    line.close()
    assert ticket.future.done()


def test_closing_finishes_what_is_in_line():
    judge = Slow()
    line = Batcher(judge, Limits(batch=2))
    tickets = [line.submit(job(1, float(k))) for k in range(9)]
    threading.Timer(0.05, judge.may.set).start()
    line.close()
    assert [one.future.result(0).answers for one in tickets] == [[float(k)] for k in range(9)]
    with pytest.raises(Closed):
        line.submit(job(1))


def test_abandoned_jobs_are_skipped():
    judge = Slow()
    line = Batcher(judge, Limits(gather_seconds=0.0, batch=2))
    first = line.submit(job(1))
    while not judge.batches:
        pass
    tickets = [line.submit(job(1, float(k))) for k in range(4)]
    tickets[0].abandoned = tickets[2].abandoned = True
    judge.may.set()
    line.close()
    assert first.future.done()
    assert [one.future.cancelled() for one in tickets] == [True, False, True, False]
    assert sum(map(sum, judge.batches)) == 3


def test_an_error_reaches_those_who_wait_and_the_line_goes_on():
    calls = []

    def judge(jobs):
        calls.append(len(jobs))
        if len(calls) == 1:
            raise RuntimeError("once")
        return [Said(None, [], False) for _ in jobs]

    line = Batcher(judge, Limits())
    with pytest.raises(RuntimeError, match="once"):
        line.submit(job(1)).future.result(10)
    assert line.submit(job(1)).future.result(10).answers == []
    line.close()


@pytest.fixture
def judge(guard):
    return Judge(guard, None, "warn", 16, Metrics("digits", guard.facts))


def test_a_batch_says_what_each_job_alone_is_told(judge, guard, fresh):
    sizes, start, jobs = [1, 5, 40, 3, 7], 0, []
    for number, size in enumerate(sizes):
        jobs.append(Job(fresh[start : start + size], words=number % 2 == 1))
        start += size
    for one, said in zip(jobs, judge(jobs), strict=True):
        direct = guard(one.inputs)
        if one.words:
            assert [a.prediction for a in said.answers] == direct.prediction.tolist()
        else:
            assert torch.equal(said.verdict.prediction, direct.prediction)
            assert torch.allclose(said.verdict.p_value, direct.p_value, atol=1e-5)


@pytest.mark.parametrize("places", [[0], [39], [0, 1, 17], range(40)])
@pytest.mark.parametrize("words", [False, True])
def test_the_network_fails_on_some_rows(judge, fresh, poison, places, words):
    inputs = fresh[:40].clone()
    inputs[list(places)] = poison
    jobs = [Job(inputs[:10], words), Job(inputs[10:], words)]
    said = judge(jobs)
    reasons = [
        one.reason == "contract" if words else int(one) == 1
        for part in said
        for one in (part.answers if words else part.verdict.reason)
    ]
    assert [place for place, broken in enumerate(reasons) if broken] == list(places)
    assert judge.metrics.failures._value.get() == len(places)


def test_the_alarm_refuses_or_warns(guard, fresh):
    modes: list[tuple[Drift, bool]] = [("refuse", True), ("warn", False)]
    for drift, refused in modes:
        alarm = StreamAlarm.of(guard.ruler.level)
        judge = Judge(guard, alarm, drift, 64, Metrics("digits", guard.facts))
        before = judge([Job(fresh[:50])])[0]
        assert before.verdict is not None
        assert not before.alarm and int(before.verdict.accepted.sum()) > 40
        odd = torch.full((400, 1, 8, 8), 0.5)
        assert not judge([Job(odd, counted=False)])[0].alarm  # looked at, not counted
        assert alarm.count == 50
        assert judge([Job(odd)])[0].alarm and alarm.on
        verdict, words = judge([Job(fresh[:50]), Job(fresh[:50], words=True)])
        assert verdict.verdict is not None and words.answers is not None
        assert verdict.alarm and words.alarm
        assert bool(verdict.verdict.accepted.any()) is not refused
        drifted = [one for one in words.answers if one.reason == "drift"]
        assert bool(drifted) is refused
        assert torch.equal(
            verdict.verdict.reason == 5, (before.verdict.reason == 0) & torch.tensor(refused)
        )
        assert all("left the map" in one.detail and not one.accepted for one in drifted)


def test_traffic_and_others_are_told_apart_in_one_batch(guard, fresh):
    alarm, alone = (StreamAlarm.of(guard.ruler.level) for _ in range(2))
    judge = Judge(guard, alarm, "warn", 64, Metrics("digits", guard.facts))
    broken = torch.full_like(fresh[:2], torch.nan)  # has no p-value
    judge([Job(fresh[:9]), Job(fresh[9:20], counted=False), Job(broken), Job(fresh[20:23])])
    traffic = torch.cat((fresh[:9], fresh[20:23]))
    Judge(guard, alone, "warn", 64, Metrics("digits", guard.facts))([Job(traffic)])
    assert alarm.count == 12
    assert alarm.log_wealth == pytest.approx(alone.log_wealth, abs=1e-4)


def test_many_clients_at_once(client, guard, fresh):
    """Each is told of its own inputs, whoever else asks."""
    ask = client()
    direct = guard(fresh[:200]).score.tolist()

    def one(place):
        body = {"inputs": [{
            "name": "x", "shape": [1, 1, 8, 8], "datatype": "FP32",
            "data": fresh[place].flatten().tolist(),
        }], "outputs": [{"name": "score"}]}  # fmt: skip
        said = ask.post("/v2/models/guard/infer", json=body).json()
        return said["outputs"][0]["data"][0]

    with ThreadPoolExecutor(8) as pool:
        scores = [*pool.map(one, range(200))]
    assert scores == pytest.approx(direct, abs=1e-4)
