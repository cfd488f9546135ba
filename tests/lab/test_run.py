"""Running claims: seeds, what is kept, what is run again, and bad input."""

import json

import pytest
import torch

from offmap.attempt import InputError
from offmap.lab import fingerprint
from offmap.lab.claim import claims
from offmap.lab.keep import keep, kept
from offmap.lab.run import SEEDS, find
from offmap.train import Diverged

from .conftest import made


def test_each_seed_has_random_numbers_of_its_own(offered):
    seeds = []
    unit = made(lambda call: 1.0)
    inner = unit.function

    def toy(*, size, generator):
        """As the other."""
        seeds.append(generator.initial_seed())
        return inner(size=size, generator=generator)

    toy.__module__ = inner.__module__
    offered(type(unit)(**{f: getattr(unit, f) for f in unit.__slots__} | {"function": toy}))
    found = find(["toy"])[0]
    assert len(set(seeds)) == len(found.trials) == SEEDS["smoke"]
    find(["toy"])
    assert seeds[:5] == seeds[5:]


def test_finished_trials_are_taken_up_again(offered, tmp_path):
    """Interrupted after two of five: the other three are run, and all five are the same."""

    def effects(call):
        if call == 3:
            raise KeyboardInterrupt
        return float(call)

    offered(made(effects))
    with pytest.raises(KeyboardInterrupt):
        find(["toy"], out=tmp_path)
    found = find(["toy"], out=tmp_path)[0]
    assert [done.reused for done in found.trials] == [True, True, False, False, False]
    assert [trial.effect for trial in found.finished] == [1.0, 2.0, 4.0, 5.0, 6.0]
    assert all(done.reused for done in find(["toy"], out=tmp_path)[0].trials)
    again = find(["toy"], out=tmp_path, fresh=True)[0]
    assert not any(done.reused for done in again.trials)


def test_another_version_is_kept_apart(offered, tmp_path, monkeypatch):
    offered(made(lambda call: float(call)))
    first = find(["toy"], out=tmp_path, seeds=2)[0]
    monkeypatch.setattr("offmap.lab.fingerprint.code", lambda module: "other code")
    second = find(["toy"], out=tmp_path, seeds=2)[0]
    assert [t.effect for t in first.finished] == [1.0, 2.0]
    assert [t.effect for t in second.finished] == [3.0, 4.0]
    monkeypatch.setattr("offmap.lab.fingerprint.code", lambda module: "code")
    assert [t.effect for t in find(["toy"], out=tmp_path, seeds=2)[0].finished] == [1.0, 2.0]


def test_the_key_of_a_trial_holds_all_that_it_depends_on():
    unit = next(iter(claims().values()))
    same = fingerprint.key(unit, "smoke", 0, 1, {})
    assert same == fingerprint.key(unit, "smoke", 0, 1, {})
    others = {
        fingerprint.key(unit, "smoke", 1, 1, {}),
        fingerprint.key(unit, "smoke", 0, 2, {}),
        fingerprint.key(unit, "smoke", 0, 1, {"mnist.npz": "abc"}),
        fingerprint.key(unit, "full", 0, 1, {}),
    }
    assert len(others | {same}) == 5


def test_code_is_that_of_a_module_and_of_all_that_it_imports(tmp_path, monkeypatch):
    """A change two imports away counts; one in a module that is not imported does not."""
    package = tmp_path / "lab_toys"
    package.mkdir()
    texts = {
        "__init__": "", "first": "from lab_toys.second import two",
        "second": "def two():\n    import lab_toys.third", "third": "x = 1", "apart": "y = 1",
    }  # fmt: skip
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def code():
        fingerprint.code.cache_clear()
        return fingerprint.code("lab_toys.first")

    before = code()
    (package / "apart.py").write_text("y = 2")
    assert code() == before
    (package / "third.py").write_text("x = 2")
    assert code() != before


def test_a_run_that_diverges_is_a_failed_trial(offered, tmp_path):
    def effects(call):
        if call == 2:
            raise Diverged("training diverged: expected a finite loss, got nan at step 17")
        return 1.0

    offered(made(effects))
    found = find(["toy"], out=tmp_path)[0]
    assert found.verdict == "inconclusive"
    assert "1 of 5 trials failed, the first with seed 1" in found.why
    assert "step 17" in found.why
    again = find(["toy"], out=tmp_path)[0]  # it is tried again, and goes well this time
    assert [done.reused for done in again.trials] == [True, False, True, True, True]


def test_a_trial_that_is_none_fails(offered):
    offered(made(lambda call: "much"))
    assert "expected a finite" not in find(["toy"], seeds=2)[0].why
    assert len(find(["toy"], seeds=2)[0].failed) == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"names": ["barany_furedy_vertices"]}, "did you mean barany_furedi_vertices"),
        ({"names": ["toy"], "seeds": 0}, "expected at least one seed, two or more for a verdict"),
        ({"names": ["toy"], "scale": "huge"}, "expected the scale smoke, desk or full, got 'huge'"),
        ({"names": ["toy"], "engine": "moon"}, "expected local, ray or ray"),
        ({"names": ["toy"], "threads": 0}, "expected at least one thread"),
    ],
)
def test_bad_input_is_one_sentence(offered, asked, said):
    offered(made([]))
    with pytest.raises(InputError, match=said):
        find(**asked)


def test_what_is_not_installed_is_named_with_the_command(offered):
    offered(made([], modules=("cvxpy", "no_such_module")))
    with pytest.raises(InputError, match=r"no_such_module.*toy needs.*pip install 'offmap\[lab\]'"):
        find(["toy"])


def test_data_that_is_missing_is_named(offered, tmp_path):
    def toy(*, size, data, generator):
        """Reads."""

    toy.__module__ = "offmap.lab.claims.capacity.toy"
    unit = made([])
    given = {f: getattr(unit, f) for f in unit.__slots__}
    offered(type(unit)(**given | {"function": toy, "data": {"desk": ("mnist",)}}))
    with pytest.raises(InputError, match=r"a folder with mnist\.npz, got none: give --data"):
        find(["toy"], scale="desk")
    with pytest.raises(InputError, match=r"expected mnist\.npz in .*, got no such file"):
        find(["toy"], scale="desk", data=tmp_path)


def test_two_runs_in_one_folder_are_refused(offered, tmp_path):
    offered(made(lambda call: find(["toy"], out=tmp_path, seeds=2) and 1.0))
    found = find(["toy"], out=tmp_path, seeds=2)[0]
    assert "another run is at work" in found.why


def test_the_global_random_state_is_left_alone(offered):
    offered(made(lambda call: float(call)))
    before = torch.get_rng_state()
    find(["toy"])
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_kept_is_all_that_was_found(offered, tmp_path):
    offered(made(lambda call: 1.0 + call / 100))
    found = find(["toy"], out=tmp_path)
    page = keep(found, tmp_path)
    again = kept(tmp_path / "smoke")
    assert [one.estimate for one in again] == [found[0].estimate]
    assert again[0].provenance["torch"] == torch.__version__
    text = page.read_text()
    assert "It is so." in text
    assert "supported" in (tmp_path / "smoke" / "what_holds.md").read_text()
    (tmp_path / "smoke" / "toy.json").write_text(json.dumps({"kind": "Nonsense"}))
    with pytest.raises(InputError, match=r"the finding .*toy.json cannot be read"):
        kept(tmp_path / "smoke")


def test_a_damaged_trial_is_named_and_not_taken_over(offered, tmp_path):
    offered(made(lambda call: float(call)))
    find(["toy"], out=tmp_path, seeds=2)
    next((tmp_path / "trials").glob("toy-1-*.json")).write_text("{")
    with pytest.raises(InputError, match=r"the finished trial .*toy-1.* cannot be read"):
        find(["toy"], out=tmp_path, seeds=2)
    assert find(["toy"], out=tmp_path, seeds=2, fresh=True)[0].verdict != "none"
