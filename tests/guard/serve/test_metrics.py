"""What Prometheus reads, and what the log says: numbers, and no input."""

import json
import logging

import pytest
import torch
from prometheus_client.parser import text_string_to_metric_families

from offmap.guard.serve.logs import NAME, Lines, say
from offmap.guard.serve.metrics import Metrics


def values(ask):
    """Every sample of /metrics by name and labels."""
    response = ask.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_requests_verdicts_and_p_values_are_counted(client, guard, fresh):
    ask = client(name="digits")
    inputs = fresh[:40].clone()
    inputs[:3] = 9.0  # beyond the domain
    for start in (0, 20):
        ask.post("/answer", json={"inputs": inputs[start : start + 20].tolist()})
    ask.post("/answer", json={"inputs": ["no image"]})
    ask.post("/answer", content=b"{", headers={"content-type": "application/json"})
    ask.get("/v2/models/other")
    ask.get("/nowhere/secret")
    seen = values(ask)
    direct = guard(inputs)

    def requests(route, status):
        name = "offmap_guard_requests_total"
        return seen[name, ("route", route), ("status", str(status))]

    assert requests("/answer", 200) == 3 and requests("/answer", 400) == 1
    assert requests("/v2/models/{model}", 404) == 1 and requests("other", 404) == 1
    assert seen["offmap_guard_request_seconds_count", ("route", "/answer")] == 4
    verdicts = {
        dict(labels)["reason"]: value
        for (name, *labels), value in seen.items()
        if name == "offmap_guard_verdicts_total"
    }
    off = int((direct.reason == 2).sum())
    assert verdicts == {
        "accepted": 37 - off, "contract": 4, "off_map": off, "uncertain": 0, "disputed": 0,
        "drift": 0,
    }  # fmt: skip
    assert seen["offmap_guard_p_value_count",] == 37
    for bound in ("0.05", "0.5", "0.9"):
        below = int((direct.p_value[3:] <= float(bound)).sum())
        assert seen["offmap_guard_p_value_bucket", ("le", bound)] == below
    assert seen["offmap_guard_batch_rows_sum",] == 40
    assert seen["offmap_guard_queue_rows",] == 0 and seen["offmap_guard_drift_alarm",] == 0
    assert seen["offmap_guard_drift_inputs",] == 37
    assert seen["offmap_guard_drift_log_wealth",] == pytest.approx(
        ask.get("/alarm").json()["log_wealth"]
    )
    version = guard.facts.model_version
    assert seen["offmap_guard_info", ("name", "digits"), ("offmap", guard.facts.version),
                ("version", version)] == 1  # fmt: skip
    assert seen["process_resident_memory_bytes",] > 2**20
    assert "secret" not in ask.get("/metrics").text


def test_labels_stay_few(client):
    ask = client()
    for number in range(50):
        ask.get(f"/unknown/{number}")
        ask.get(f"/v2/models/model-{number}")
    routes = {dict(labels)["route"] for (name, *labels) in values(ask) if "requests_total" in name}
    assert routes == {"other", "/v2/models/{model}"}


def test_two_services_do_not_share_numbers(guard):
    one, other = Metrics("a", guard.facts), Metrics("b", guard.facts)
    one.failures.inc()
    assert b"offmap_guard_failures_total 1.0" in one.text()
    assert b"offmap_guard_failures_total 0.0" in other.text()


def test_the_log_has_lines_of_json_without_inputs(client, fresh, poison, caplog):
    ask = client()
    caplog.set_level(logging.INFO, NAME)
    number = 0.7251397
    inputs = torch.stack((fresh[0], poison))
    inputs[0, 0, 1, 1] = number
    ask.post("/answer?secret=1", json={"inputs": [*inputs.tolist(), "secret"]})
    ask.post("/v2/models/secret/infer", content=b"secret")
    ask.get("/secret", headers={"x-secret": "secret"})
    lines = [Lines().format(record) for record in caplog.records]
    events = [json.loads(line) for line in lines]
    assert [one["event"] for one in events] == [
        "the network fails on an input", "request", "request", "request",
    ]  # fmt: skip
    assert [one.get("status") for one in events] == [None, 200, 404, 404]
    assert events[0]["error"] == "RuntimeError" and events[1]["route"] == "/answer"
    text = "\n".join(lines)
    assert "secret" not in text and "0.7251" not in text and "0.1234" not in text


def test_errors_are_logged_without_their_messages():
    def fail():
        raise ValueError("secret")

    with pytest.raises(ValueError) as error:
        fail()
    seen = (error.type, error.value, error.tb)
    record = logging.LogRecord("x", 40, "x", 1, "it %s", ("failed\nbadly",), seen)
    line = json.loads(Lines().format(record))
    assert line["error"] == "ValueError" and line["where"][-1].endswith("fail")
    assert line["event"] == "it failed badly" and line["level"] == "error"
    assert "secret" not in str(line)


def test_what_breaks_inside_is_500_and_a_sentence(client, fresh, monkeypatch):
    ask = client(raises=False)

    def broken(self, jobs):
        raise RuntimeError("secret")

    monkeypatch.setattr(type(ask.app.state.service.judge), "__call__", broken)
    response = ask.post("/answer", json={"inputs": fresh[:1].tolist()})
    assert response.status_code == 500
    assert response.json() == {"error": "the service failed: its log says where"}
    assert values(ask)["offmap_guard_requests_total", ("route", "/answer"), ("status", "500")] == 1
    room = ask.app.state.service.room
    assert room.rows == 0 and room.bytes == 0


def test_say_costs_nothing_where_nobody_listens(caplog):
    caplog.set_level(logging.ERROR, NAME)
    say("quiet", number=1)
    assert not caplog.records
