"""The alarm's state on disk: it survives a kill, and a disk that is full stops nothing."""

import inspect
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import torch

from offmap.attempt import InputError
from offmap.guard.serve.store import Keeper, Store
from offmap.guard.stream import StreamAlarm


def test_what_is_written_is_read(tmp_path):
    store = Store(tmp_path / "state.db")
    assert store.read("a") is None
    store.write("a", "one")
    store.write("a", "two")
    store.write("b", "other")
    store.close()
    again = Store(tmp_path / "state.db")
    assert (again.read("a"), again.read("b"), again.read("c")) == ("two", "other", None)
    mode = again._connection.execute("PRAGMA journal_mode").fetchone()[0]
    assert mode == "wal"
    again.close()


def test_one_process_at_a_time(tmp_path):
    store = Store(tmp_path / "state.db")
    with pytest.raises(InputError, match="another service"):
        Store(tmp_path / "state.db")
    store.close()
    Store(tmp_path / "state.db").close()


def test_files_that_are_no_store(tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all" * 100)
    for path in (broken, tmp_path, tmp_path / "no" / "folder.db"):
        with pytest.raises(InputError, match="cannot be used to keep the state"):
            Store(path)


KILLED = """
import sys, time
from pathlib import Path
from offmap.guard.serve.store import Keeper, Store
state = ["0"]
keeper = Keeper(Store(Path(sys.argv[1])), "g", lambda: state[0], lambda: None, seconds=0.01)
keeper.start()
for number in range(1, 100_000):
    state[0] = str(number)
    while number % 7 and keeper._written != state[0]:  # every seventh may be under way
        time.sleep(0.001)
    print(number, keeper._written == state[0], flush=True)
"""


def test_a_kill_loses_no_more_than_the_time_between_writes(tmp_path):
    """All that a write was done for is there afterwards, and the file is whole."""
    assert inspect.signature(Keeper).parameters["seconds"].default <= 0.5  # with room to a second
    path = tmp_path / "state.db"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(40)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    assert process.wait(20) == -signal.SIGKILL
    process.stdout.close()
    store = Store(path)  # the lock of the dead is gone
    assert store._connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    kept = int(store.read("g") or 0)
    store.close()
    lines = [line.split() for line in said if line.endswith("\n")]
    done = max(int(number) for number, written in lines if written == "True")
    assert 30 < done <= kept <= int(lines[-1][0]) + 1


@pytest.fixture
def full(tmp_path):
    """A store on a disk that is full: SQLite itself says so (SQLITE_FULL)."""
    store = Store(tmp_path / "state.db")
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    yield store
    store.close()


def test_a_full_disk_keeps_what_was_there(full):
    full.write("g", "small")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        full.write("g", "x" * 100_000)
    assert full.read("g") == "small"


def test_the_keeper_goes_on_through_a_full_disk(full):
    state, failures = ["small"], []
    keeper = Keeper(full, "g", lambda: state[0], lambda: failures.append(1))
    keeper._write()
    assert keeper.trouble is None
    state[0] = "x" * 100_000
    keeper._write()
    keeper._write()
    assert "cannot be written" in str(keeper.trouble) and len(failures) == 2
    full._connection.execute("PRAGMA max_page_count = 1000")  # somebody cleans up
    keeper._write()
    assert keeper.trouble is None and full.read("g") == state[0]


def test_the_service_answers_on_a_full_disk(client, fresh, full):
    """Health says degraded, metrics count it, and the answers go on."""
    ask = client(store=full)
    service = ask.app.state.service
    service.keeper._state = lambda: "x" * 100_000 + str(time.monotonic())  # it grows, and the disk
    end = time.monotonic() + 20
    while service.degraded is None and time.monotonic() < end:
        assert ask.post("/answer", json={"inputs": fresh[:1].tolist()}).status_code == 200
    ready = ask.get("/v2/health/ready")
    assert ready.status_code == 200 and ready.json()["ready"] is True
    assert "cannot be written" in ready.json()["degraded"]
    metrics = ask.get("/metrics").text
    assert "offmap_guard_state_kept 0.0" in metrics
    assert "offmap_guard_state_write_failures_total 0.0" not in metrics
    assert ask.post("/answer", json={"inputs": fresh[:1].tolist()}).status_code == 200


def test_a_file_that_may_not_grow(tmp_path):
    """The operating system refuses: a limit on file sizes, in a process of its own."""
    code = """
import resource, signal, sys
from pathlib import Path
from offmap.guard.serve.store import Keeper, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(Path(sys.argv[1]))
store.write("g", "before")
keeper = Keeper(store, "g", lambda: "x" * 300_000, lambda: None)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
keeper._write()
assert keeper.trouble, "the write was taken"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.read("g") == "before"
keeper._write()
assert keeper.trouble is None and store.read("g") == "x" * 300_000
"""
    command = [sys.executable, "-c", code, str(tmp_path / "state.db")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr


def test_the_alarm_goes_on_where_it_was(client, guard, fresh, tmp_path):
    path = tmp_path / "state.db"
    first = client(store=Store(path))
    first.post("/answer", json={"inputs": fresh[:60].tolist()})
    before = first.get("/alarm").json()
    first.app.state.service.stop()
    second = client(store=Store(path))
    assert second.get("/alarm").json() == before and before["inputs"] == 60
    alarm = StreamAlarm.of(guard.ruler.level)
    direct = guard(fresh[:60])
    alarm.update(direct.p_value, direct.prediction)
    assert before["log_wealth"] == pytest.approx(alarm.log_wealth, abs=1e-3)


def test_a_restart_of_the_alarm_is_kept(client, fresh, tmp_path):
    path = tmp_path / "state.db"
    first = client(store=Store(path), drift="warn")
    gray = torch.full((300, 1, 8, 8), 0.5).tolist()
    assert first.post("/answer", json={"inputs": gray}).json()["alarm"] is True
    said = first.post("/answer", json={"inputs": fresh[:1].tolist()}).json()
    assert said["alarm"] is True and said["answers"][0]["accepted"] is True
    before = first.get("/alarm").json()
    told = first.delete("/alarm").json()
    assert told["on"] is False and told["inputs"] == 0
    assert told["false_alarm"] == pytest.approx(before["false_alarm"] * 1.5)
    first.app.state.service.stop()
    assert client(store=Store(path)).get("/alarm").json() == told
    assert client(drift=None).get("/alarm").status_code == 404


def test_a_broken_state_is_refused(client, guard, tmp_path):
    for number, state in enumerate(("no JSON", "{}", "[]", '{"format": 99}', torch.__version__)):
        store = Store(tmp_path / f"{number}.db")
        store.write(guard.facts.model_version, state)
        with pytest.raises(InputError, match="the state of the alarm"):
            client(store=store)
        store.close()
