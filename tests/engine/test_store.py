import json
import subprocess
import sys

import pytest
import torch

from offmap.attempt import InputError
from offmap.engine.store import DTYPES, Store
from offmap.estimate import exact
from offmap.figures import Curve
from offmap.reading import Entry, Failed, Reading, Skipped

ROWS = torch.tensor([0.25, torch.nan, 1.0], dtype=torch.double)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "out")


def entry(outcome=None, **more):
    outcome = outcome or Reading(
        exact(0.5),
        null=exact(0.25),
        parts={"kind": exact(1.0)},
        per_example=ROWS,
        figures=(
            Curve("t", "x", "y", torch.arange(3.0), {"": torch.tensor([1.0, 2.0, torch.nan])}),
        ),
        notes=("A note.",),
    )
    return Entry("toy", "geometry", "test", outcome, {"scale": 0.1}, 1.5, 7, **more)


# -------------------------------------------------------------------------------------- readings


def test_an_entry_comes_back_whole(store):
    kept = entry()
    store.put_entry("k", kept)
    found = Store(store.folder).entry("k")
    assert (found.measure, found.question, found.split) == ("toy", "geometry", "test")
    assert (found.settings, found.seconds, found.peak_bytes) == ({"scale": 0.1}, 1.5, 7)
    assert found.reading.estimate == kept.reading.estimate
    assert found.reading.null == kept.reading.null
    assert found.reading.parts == {"kind": exact(1.0)}
    assert found.reading.notes == ("A note.",)
    assert torch.equal(found.reading.per_example.nan_to_num(9), ROWS.nan_to_num(9))
    (curve,) = found.reading.figures
    assert curve.series[""].isnan().tolist() == [False, False, True]


@pytest.mark.parametrize("outcome", [Skipped("there is no train"), Failed("KeyError: a", "Trace")])
def test_other_outcomes_come_back(store, outcome):
    store.put_entry("k", entry(outcome))
    assert store.entry("k").outcome == outcome


def test_what_was_never_kept_is_not_there(store):
    assert store.entry("k") is None
    assert not store.has("k")


def test_entries_outlive_the_work(store):
    store.put_entry("k", entry())
    store.put("w", {"rows": ROWS}, 1.0)
    store.clear_work()
    assert store.entry("k") is not None
    assert not store.has("w")
    store.clear()
    assert store.entry("k") is None


# ---------------------------------------------------------------------------- what they are made of


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_numbers_of_every_type_come_back(store, dtype):
    values = torch.tensor([[0, 1, 1], [1, 0, 3]]).to(dtype)
    store.put("w", {"values": values, "more": ROWS}, 0.1)
    tables, seconds = store.get("w")
    assert seconds == 0.1
    assert tables["values"].dtype == dtype
    assert torch.equal(tables["values"].all(), values)
    assert torch.equal(tables["values"].take(torch.tensor([1, 0])), values.flip(0))
    assert torch.equal(tables["more"].read(0, 1), ROWS[:1])


def test_what_is_not_contiguous_is_kept_as_it_looks(store):
    values = torch.arange(6.0).reshape(2, 3).T
    store.put("w", {"values": values}, 0.0)
    assert torch.equal(store.get("w")[0]["values"].all(), values)


def test_dropped_work_is_gone(store):
    store.put("w", {"rows": ROWS}, 1.0)
    assert store.has("w")
    store.drop("w")
    assert not store.has("w")
    store.drop("w")  # twice is no error: another task may have been the last to need it


# ------------------------------------------------------------------------------------ whole or not


@pytest.mark.parametrize("part", [b"", b"\x10\x00", b"half of a file"])
def test_a_file_that_was_being_written_is_never_read(store, part):
    (store.folder / "entries" / "k.part").write_bytes(part)
    (store.folder / "work" / "w.part").write_bytes(part)
    again = Store(store.folder)
    assert again.entry("k") is None
    assert not again.has("w")
    again.put_entry("k", entry())  # and it is in nobody's way
    assert again.entry("k").reading.value == 0.5


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from offmap.engine.store import Store

folder, when = Path(sys.argv[1]), sys.argv[2]
replace = Path.replace

def killed(self, target):
    if when == "after":
        replace(self, target)
    os.kill(os.getpid(), signal.SIGKILL)

Path.replace = killed
Store(folder).put("w", {"rows": torch.arange(5)}, 2.0)
"""


@pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
def test_a_kill_leaves_everything_or_nothing(tmp_path, when, there):
    """`kill -9` on either side of the rename: the moment at which a result begins to exist."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], check=False)
    assert done.returncode == -9
    store = Store(tmp_path)
    assert store.has("w") == there
    if there:
        assert torch.equal(store.get("w")[0]["rows"].all(), torch.arange(5))


# --------------------------------------------------------------------------------- two at a time


def test_two_audits_in_one_folder_are_refused(store):
    second = Store(store.folder)
    refusal = pytest.raises(InputError, match=r"another run is at work in .*out: wait")
    with store.locked(), refusal, second.locked():
        pass
    with Store(store.folder).locked():  # the first is done
        pass


def test_the_lock_goes_with_an_error(store):
    with pytest.raises(KeyboardInterrupt), store.locked():
        raise KeyboardInterrupt
    with store.locked():
        pass


def test_an_error_of_the_audit_is_not_taken_for_one_of_the_folder(store):
    with pytest.raises(FileNotFoundError, match="somewhere else"), store.locked():
        raise FileNotFoundError("somewhere else")


# ------------------------------------------------------------------------------- nowhere to write


def test_a_full_disk_is_one_sentence_and_loses_nothing(store):
    store.put_entry("first", entry())
    full = store.folder / "entries" / "second.part"
    full.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(InputError, match=r"No space left on device: free some space") as caught:
        store.put_entry("second", entry())
    assert "\n" not in str(caught.value)
    assert store.entry("first") is not None
    assert store.entry("second") is None
    full.unlink()
    store.put_entry("second", entry())
    assert store.entry("second") is not None


def test_a_place_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*expected to write there, got .*another --out"):
        Store(tmp_path / "file" / "out")
    with pytest.raises(InputError, match=r"file: expected to write there, got Not a directory"):
        Store(tmp_path / "file")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    """As root no mode keeps us out: the system call says what it says on a read-only disk."""
    from pathlib import Path

    def refuse(self, data):
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(InputError, match="got Read-only file system: free some space or give anot"):
        Store(tmp_path)


def test_the_entry_on_disk_is_plain_json(store):
    """A person, or another program, can read what was found without offmap."""
    store.put_entry("k", entry())
    raw = (store.folder / "entries" / "k.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["entry"])["measure"] == "toy"
    assert header["per_example"] == {"dtype": "F64", "shape": [3], "data_offsets": [0, 24]}
