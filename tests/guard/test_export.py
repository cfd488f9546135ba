"""The exported guard says what the guard says: over 10,000 inputs, without offmap."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.guard.export import FACTS, export
from offmap.guard.facts import from_plain
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.guard.verdict import Verdict
from offmap.models.exported import load_exported
from offmap.run import Split

INPUTS = 10_000
GUARDS = {
    "energy, per class": {"score": "energy", "per_class": True, "alpha": 0.1},
    "mahalanobis, risk": {"score": "mahalanobis", "risk": 0.1},
    "feature_neighbors, disputed": {"score": "feature_neighbors", "disputed": 0.1},
    "input_neighbors": {"score": "input_neighbors"},
    "ensemble": {"score": ("mahalanobis", "virtual_logit", "input_neighbors"), "confidence": 0.9},
}


@pytest.fixture(scope="module")
def inputs(digits_run) -> Tensor:
    """Digits, digits bent, noise, mixtures, and inputs that break the contract."""
    generator = torch.Generator().manual_seed(7)
    known = digits_run.train.inputs
    first, second = (known[torch.randint(1200, (1800,), generator=generator)] for _ in range(2))
    noise = torch.rand(1800, 1, 8, 8, generator=generator)
    whole = torch.cat([
        digits_run.test.inputs, *(split.inputs for split in digits_run.shifts.values()),
        noise, (first + second) / 2, (first + 0.2 * (noise - 0.5)).clamp(0, 1),
    ])  # fmt: skip
    broken = torch.rand(INPUTS - len(whole), 1, 8, 8, generator=generator)
    value = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.5, -0.5])
    places = torch.randint(64, (len(broken),), generator=generator)
    kinds = torch.randint(5, (len(broken),), generator=generator)
    broken.view(len(broken), 64)[torch.arange(len(broken)), places] = value[kinds]
    return torch.cat([whole, broken])


@pytest.fixture(scope="module", params=GUARDS)
def guard(request, digits_run, calibration_digits) -> Guard:
    made = fit_guard(
        digits_run.model, digits_run.train, calibration_digits, domain=digits_run.domain,
        class_names=digits_run.class_names, **GUARDS[request.param],
    )  # fmt: skip
    if made.facts.risk is not None:
        made.sure = -0.3  # this network errs too seldom to need one
    return made


def judged(guard: Guard, inputs: Tensor) -> Verdict:
    with torch.no_grad():
        parts = [guard(batch) for batch in inputs.split(256)]
    return Verdict(*(torch.cat(part) for part in zip(*parts, strict=True)))


def agree(verdict: Verdict, found: dict) -> None:
    """The same decisions, p-values within 1e-5."""
    other = {name: torch.as_tensor(part) for name, part in found.items()}
    assert tuple(other) == Verdict._fields
    for name in ("prediction", "accepted", "reason"):
        assert torch.equal(getattr(verdict, name), other[name]), name
        assert getattr(verdict, name).dtype == other[name].dtype
    broken = verdict.p_value.isnan()
    assert torch.equal(broken, other["p_value"].isnan())
    assert (verdict.p_value - other["p_value"])[~broken].abs().max() < 1e-5
    spread = verdict.score[~broken].quantile(0.9) - verdict.score[~broken].quantile(0.1)
    assert (verdict.score - other["score"])[~broken].abs().max() < 1e-4 * spread


def test_ten_thousand_inputs_get_the_same_verdicts(guard, inputs, tmp_path):
    assert len(inputs) == INPUTS
    verdict = judged(guard, inputs)
    reasons = verdict.reason.bincount(minlength=6)
    assert (reasons[:3] > 500).all()  # accepted, contract, off the map
    assert reasons[3] > 50 or guard.sure is None
    assert reasons[4] > 50 or guard.dispute is None

    export(guard, tmp_path / "guard.pt2")
    program = torch.export.load(tmp_path / "guard.pt2").module()
    with torch.no_grad():
        agree(verdict, program(inputs))

    export(guard, tmp_path / "guard.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "guard.onnx")
    assert [(one.name, one.shape[1:]) for one in session.get_inputs()] == [("inputs", [1, 8, 8])]
    names = [one.name for one in session.get_outputs()]
    agree(verdict, dict(zip(names, session.run(None, {"inputs": inputs.numpy()}), strict=True)))
    one: Any = session.run(["reason"], {"inputs": inputs[:1].numpy()})[0]
    assert one.tolist() == verdict.reason[:1].tolist()


@pytest.fixture(scope="module")
def plain() -> Guard:
    """A small one that exports in a moment."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(300, 3, generator=generator)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    return fit_guard(model, Split(inputs[:100], inputs[:100, :2]), Split(inputs[100:]),
                     task="regression", score="mahalanobis", name="small")  # fmt: skip


@cache
def _asked() -> Tensor:
    return torch.cat([torch.randn(30, 3, generator=torch.Generator().manual_seed(1)),
                      torch.full((2, 3), 50.0), torch.full((1, 3), torch.nan)])  # fmt: skip


def test_a_regression_is_exported_too(plain, tmp_path):
    inputs = _asked()
    verdict = plain(inputs)
    export(plain, tmp_path / "guard.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "guard.onnx")
    found: dict[str, Any] = dict(
        zip(Verdict._fields, session.run(None, {"inputs": inputs.numpy()}), strict=True)
    )
    whole = ~verdict.p_value.isnan()
    assert torch.allclose(
        verdict.prediction[whole], torch.as_tensor(found["prediction"])[whole], atol=1e-5
    )
    assert verdict.reason.tolist() == found["reason"].tolist()
    assert {0, 1, 2} <= set(verdict.reason.tolist())


WITHOUT = """
import sys, json, torch
sys.modules["offmap"] = None  # nobody may import it
extra = {"offmap.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
out = program(torch.zeros(3, 3))
assert "offmap.guard" not in sys.modules
print(json.dumps({name: part.tolist() for name, part in out.items()}))
print(extra["offmap.json"])
"""


def test_a_program_runs_where_there_is_no_offmap(plain, tmp_path):
    path = tmp_path / "guard.pt2"
    export(plain, path)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said, facts = map(json.loads, done.stdout.splitlines())
    verdict = plain(torch.zeros(3, 3))
    assert said["reason"] == verdict.reason.tolist()
    assert said["p_value"] == pytest.approx(verdict.p_value.tolist())
    assert from_plain(facts["facts"]) == plain.facts
    assert facts["reasons"][2] == "off_map"


def test_a_program_can_be_loaded_as_a_model_for_any_batch(plain, tmp_path):
    export(plain, tmp_path / "guard.pt2")
    model = load_exported(tmp_path / "guard.pt2", allow_pickle=True)
    for count in (1, 2, 700):
        inputs = torch.randn(count, 3, generator=torch.Generator().manual_seed(count))
        assert torch.equal(model(inputs)["reason"], plain(inputs).reason)


def test_programs_carry_the_facts(plain, tmp_path):
    export(plain, tmp_path / "guard.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "guard.onnx")
    said = json.loads(session.get_modelmeta().custom_metadata_map["offmap"])
    assert from_plain(said["facts"]) == plain.facts
    assert said["reasons"] == [
        "accepted", "contract", "off_map", "uncertain", "disputed", "drift",
    ]  # fmt: skip
    assert FACTS == "offmap.json"


def test_training_examples_stay_at_home(plain, tmp_path):
    """A program has no use for the atlas."""
    export(plain, tmp_path / "guard.pt2")
    state = torch.export.load(tmp_path / "guard.pt2").state_dict
    assert max(len(part) for name, part in state.items() if ".atlas." in name) <= 1
    assert any(".ruler." in name for name in state)
    assert len(plain.atlas) == 100


def test_channels_last_weights_are_exported_right(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.rand(200, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    guard = fit_guard(model, Split(images[:90], torch.arange(90) % 2), Split(images[90:]),
                      score="energy")  # fmt: skip
    export(guard, tmp_path / "guard.pt2")
    program = torch.export.load(tmp_path / "guard.pt2").module()
    assert torch.allclose(program(images)["score"], guard(images).score, atol=1e-5)


def test_a_guard_is_left_as_it_was(plain, tmp_path):
    before = {name: part.clone() for name, part in plain.state_dict().items()}
    export(plain, tmp_path / "guard.pt2")
    assert all(torch.equal(part, before[name]) for name, part in plain.state_dict().items())
    assert len(plain.atlas) == 100


# ---- refusal


@pytest.mark.parametrize("name", ["guard", "guard.pt", "guard.ONNX.zip", "guard.safetensors"])
def test_other_names_are_refused(plain, name, tmp_path):
    with pytest.raises(InputError, match=r"expected a name that ends in \.pt2 or \.onnx, got"):
        export(plain, tmp_path / name)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_missing_packages_are_named(plain, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"the package {package} .*pip install 'offmap\[onnx\]'"):
        export(plain, tmp_path / "guard.onnx")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused(plain, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected to write there, got"):
        export(plain, tmp_path / "file" / "guard.pt2")


class _Branches(nn.Module):
    """A network whose way depends on the values that it sees."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, inputs):
        return self.head(inputs if float(inputs.sum()) > 0 else -inputs)


def test_a_network_that_cannot_be_followed_is_refused(tmp_path):
    inputs = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    guard = fit_guard(_Branches(), Split(inputs[:100], torch.arange(100) % 2), Split(inputs[100:]),
                      score="energy")  # fmt: skip
    with pytest.raises(
        InputError, match=r"a network that torch\.export can follow, got \w+: "
    ) as e:
        export(guard, tmp_path / "guard.pt2")
    assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


def test_what_exceeds_one_onnx_file_is_refused(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("offmap.guard.export.LARGEST", 100)
    with pytest.raises(InputError, match=r"at most 100 bytes in an ONNX .* export a \.pt2"):
        export(plain, tmp_path / "guard.onnx")
