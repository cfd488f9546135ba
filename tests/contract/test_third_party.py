"""A package of somebody else is found through its entry point, and refused where it is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from offmap import catalog
from offmap.attempt import InputError

PACKAGE = Path(__file__).parents[1] / "toy_package"

MEASURE = """
from offmap.estimate import exact
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading
from offmap.run import Split

@measure(
    asks="Is it?", unit="share", span=(0.0, 1.0), better="neither", cost=Cost.WEIGHTS,
    read="1: yes.", caution="No.", next_step="None.", paper=Paper("Nobody", "https://example.org/"),
)
def {name}(train: Split) -> Reading:
    '''One.'''
    return Reading(exact(1.0))
"""


def install(folder: Path, package: str, group: str = "offmap.measures") -> None:
    """What an installer leaves on disk of a distribution that registers a package."""
    info = folder / f"{package}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nmine = {package}\n")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another Python, in which both the package and its registration are on the path."""
    path = os.pathsep.join([str(folder), str(PACKAGE)])
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


AUDIT = """
import json
from offmap import audit
from offmap.testing.tiny import regression
report = audit(regression(), only=["toy_measure"], settings={"toy_measure": {"scale": 2.0}})
print(json.dumps([[e.measure, e.question, e.split, e.reading.value] for e in report.entries]))
"""


def test_is_audited(tmp_path):
    install(tmp_path, "toy_offmap")
    done = python(tmp_path, "-c", AUDIT)
    assert done.returncode == 0, done.stderr
    entries = json.loads(done.stdout)
    assert [entry[:3] for entry in entries] == [
        ["toy_measure", "geometry", split] for split in ("test", "moved", "half")
    ]

    from offmap.testing import tiny

    lengths = 2 * tiny.regression().test.inputs.double().norm(dim=1)
    assert entries[0][3] == pytest.approx(lengths.mean().item(), rel=1e-12)


def test_is_explained_on_the_command_line(tmp_path):
    install(tmp_path, "toy_offmap")
    done = python(tmp_path, "-m", "offmap", "explain", "toy_measure")
    assert done.returncode == 0, done.stderr
    assert "toy_measure (geometry)" in done.stdout
    assert "scale = 1.0" in done.stdout


# ------------------------------------------------------------- packages that cannot be used


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Write a package of one measure, and register it in this process."""

    def write(package: str, question: str, name: str, text: str = MEASURE) -> None:
        folder = tmp_path / package / question
        folder.mkdir(parents=True)
        for level in (tmp_path / package, folder):
            (level / "__init__.py").write_text("")
        (folder / f"{name}.py").write_text(text.format(name=name))
        install(tmp_path, package)
        monkeypatch.syspath_prepend(str(tmp_path))

    yield write
    for name in [n for n in sys.modules if n.split(".")[0].startswith("registered_")]:
        del sys.modules[name]


def found():
    """What a fresh process would find: the catalog remembers in this one."""
    return catalog._installed.__wrapped__()


def test_comes_after_those_of_offmap(registered):
    registered("registered_fine", "geometry", "a_first_measure")
    assert list(found())[-1] == "a_first_measure"
    assert set(found()) == {*catalog.measures(), "a_first_measure"}


def test_a_name_of_offmap_is_refused(registered):
    registered("registered_clash", "geometry", "calibration_error")
    with pytest.raises(InputError, match=r"registered_clash offers a measure calibration_error"):
        found()


def test_two_packages_of_one_name_are_refused(registered):
    registered("registered_one", "geometry", "a_common_name")
    registered("registered_two", "geometry", "a_common_name")
    with pytest.raises(InputError, match="registered_two offers a measure a_common_name"):
        found()


def test_a_measure_outside_the_questions_is_refused(registered):
    registered("registered_lost", "beauty", "a_measure")
    with pytest.raises(InputError, match=r"a_measure of package registered_lost: .*folder named"):
        found()


def test_a_package_that_is_not_there_is_named(registered, tmp_path, monkeypatch):
    install(tmp_path, "registered_gone")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"measures of package registered_gone cannot be read"):
        found()


def test_a_broken_folder_is_not_passed_over(registered, tmp_path):
    registered("registered_broken", "geometry", "a_measure")
    (tmp_path / "registered_broken" / "geometry" / "__init__.py").write_text("import not_there_at")
    with pytest.raises(InputError, match=r"registered_broken cannot be read: .*not_there_at"):
        found()


def test_a_measure_that_cannot_be_is_named(registered):
    text = MEASURE.replace("train: Split", "trane: Split")
    registered("registered_typo", "geometry", "a_measure", text)
    with pytest.raises(InputError, match=r"registered_typo cannot be read: .*asks for 'trane'"):
        found()


# ------------------------------------------------------------------------------------- their scores


def found_scores():
    """As `found`, of scores."""
    return catalog.scores.__wrapped__()


@pytest.fixture
def with_a_score(tmp_path, monkeypatch):
    """Write a package of one score, and register it in this process."""

    def write(package: str, name: str) -> None:
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        text = (PACKAGE / "toy_offmap" / "toy_score.py").read_text(encoding="utf-8")
        (folder / f"{name}.py").write_text(text.replace("toy_score", name))
        install(tmp_path, package, "offmap.scores")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield write
    for name in [n for n in sys.modules if n.split(".")[0].startswith("registered_")]:
        del sys.modules[name]


def test_a_score_comes_after_those_of_offmap(with_a_score):
    before = list(catalog.scores())  # first, for it remembers what it finds
    with_a_score("registered_score", "a_score")
    assert list(found_scores()) == [*before, "a_score"]
    assert "a_score" not in found()


def test_a_score_with_a_name_of_offmap_is_refused(with_a_score):
    with_a_score("registered_energy", "energy")
    with pytest.raises(InputError, match=r"registered_energy offers a score energy, which exists"):
        found_scores()


def test_a_package_of_scores_that_is_not_there_is_named(tmp_path, monkeypatch):
    install(tmp_path, "registered_lost_scores", "offmap.scores")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        InputError, match=r"the scores of package registered_lost_scores cannot be read"
    ):
        found_scores()


FIT = """
import torch
from offmap import catalog
from offmap.testing import tiny
from offmap.testing.scores import try_score
trial = try_score(catalog.scores()["toy_score"], tiny.regression())
print(trial.fitted(trial.seen["test"]).sum().item())
"""


def test_a_score_is_found_and_fitted(tmp_path):
    install(tmp_path, "toy_offmap", "offmap.scores")
    done = python(tmp_path, "-c", FIT)
    assert done.returncode == 0, done.stderr

    from offmap.testing import tiny

    run = tiny.regression()
    assert run.train is not None and run.test is not None
    middle = run.train.inputs.double().mean(dim=0)
    truth = (run.test.inputs.double() - middle).norm(dim=1).sum().item()
    assert float(done.stdout) == pytest.approx(truth, rel=1e-9)


CLAIM = """
from offmap.lab.claim import Paper, Trial, claim

@claim(
    says="A coin is fair.", effect="share of heads", above=0.4, below=0.6,
    scales={{"smoke": {{"n": 1000}}, "desk": {{"n": 2000}}, "full": {{"n": 4000}}}},
    seconds={{"smoke": 0.01, "desk": 0.01, "full": 0.01}},
    paper=Paper("Nobody", "https://example.org/"),
)
def {name}(*, n, generator):
    '''Toss a coin so often.'''
    import torch
    return Trial(torch.randint(2, (n,), generator=generator).double().mean().item())
"""


def write_claim(folder: Path, room: str = "capacity") -> None:
    """A package of one claim, registered."""
    place = folder / "registered_claims" / room
    place.mkdir(parents=True)
    for level in (place.parent, place):
        (level / "__init__.py").write_text("")
    (place / "a_fair_coin.py").write_text(CLAIM.format(name="a_fair_coin"))
    install(folder, "registered_claims", "offmap.lab.claims")


def test_a_claim_of_another_package_is_run(tmp_path):
    write_claim(tmp_path)
    out = str(tmp_path / "out")
    done = python(tmp_path, "-m", "offmap", "lab", "run", "a_fair_coin", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "supported" in done.stdout
    assert "a_fair_coin, seed 4: 0." in done.stdout
    again = python(tmp_path, "-m", "offmap", "lab", "run", "a_fair_coin", "--out", out)
    assert "5 of 5 trials were taken from an earlier run" in " ".join(again.stdout.split())
    shown = python(tmp_path, "-m", "offmap", "lab", "show", "a_fair_coin")
    assert "Toss a coin so often." in shown.stdout


def test_a_claim_outside_the_rooms_is_refused(tmp_path):
    write_claim(tmp_path, "beauty")
    done = python(tmp_path, "-m", "offmap", "lab", "list")
    assert done.returncode == 2
    assert "a_fair_coin: expected its file in a folder named after a room" in done.stderr
    assert "Traceback" not in done.stderr
