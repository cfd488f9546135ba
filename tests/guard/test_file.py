"""The file of a guard: it comes back bit for bit, or is refused with what is wrong."""

import copy
import json
import os
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from offmap.attempt import InputError
from offmap.catalog import scores
from offmap.demo import digits
from offmap.guard.facts import SCHEMA, from_plain, plain
from offmap.guard.file import HEADER, checksum, header
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.run import Split


@pytest.fixture
def saved(digits_guard, tmp_path):
    path = tmp_path / "guard.safetensors"
    digits_guard.save(path)
    return path


def opened(path):
    """Header and tensors of a file."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    return json.loads(metadata[HEADER]), load_file(path)


def same(one, other):
    """Bit for bit, NaN like NaN."""
    return all(
        torch.equal(a.nan_to_num(-9.0), b.nan_to_num(-9.0)) for a, b in zip(one, other, strict=True)
    )


def strange(inputs):
    """Inputs of every kind, with broken ones among them."""
    noise = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.cat([inputs, noise, 3 * noise, noise / 0])


# ---- there and back


@pytest.mark.parametrize("score", [*scores(), ("energy", "mahalanobis", "input_neighbors")])
def test_verdicts_come_back_bit_for_bit(
    score, digits_run, calibration_digits, fresh_digits, tmp_path
):
    asked: dict[str, Any] = {"disputed": 0.1, "confidence": 0.9} if score == "energy" else {}
    guard = fit_guard(
        digits_run.model, digits_run.train, calibration_digits, score=score, alpha=0.1,
        domain=digits_run.domain, class_names=digits_run.class_names, atlas=50, **asked,
    )  # fmt: skip
    path = tmp_path / "guard.safetensors"
    guard.save(path)
    again = Guard.load(path, model=digits_run.model)
    inputs = strange(fresh_digits.inputs)
    assert same(guard(inputs), again(inputs))
    assert again.facts == guard.facts
    assert again.answer(inputs[:3]) == guard.answer(inputs[:3])
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_everything_comes_back(saved, digits_run, digits_guard, fresh_digits):
    again: Any = Guard.load(saved, model=digits_run.model)
    assert again.sure == digits_guard.sure
    assert again.dispute.rate == 0.05
    assert again.promise == digits_guard.promise
    assert [type(member) for member in again.ruler.score.members] == [
        type(member) for member in digits_guard.ruler.score.members
    ]
    state = digits_guard.state_dict()
    assert all(torch.equal(part, state[name]) for name, part in again.state_dict().items())
    assert same(again(strange(fresh_digits.inputs)), digits_guard(strange(fresh_digits.inputs)))


def test_a_regression_and_settings_come_back(tmp_path, generator):
    inputs = torch.randn(300, 3, generator=generator)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    guard = fit_guard(
        model, Split(inputs[:100], inputs[:100, :1]), Split(inputs[100:]), task="regression",
        score="feature_neighbors", settings={"feature_neighbors": {"k": 3, "bank": 40}},
    )  # fmt: skip
    guard.save(tmp_path / "guard.safetensors")
    again: Any = Guard.load(tmp_path / "guard.safetensors", model=model)
    assert same(guard(inputs), again(inputs))
    assert again.facts.scores["feature_neighbors"] == again.ruler.score.settings
    assert again.ruler.score.settings["k"] == 3


def test_facts_are_plain_json(digits_guard):
    text = json.dumps(plain(digits_guard.facts))
    assert from_plain(json.loads(text)) == digits_guard.facts
    assert json.loads(text)["domain"]["dtype"] == "float32"


def test_the_header_says_what_people_ask(saved, digits_guard):
    said = header(saved)
    assert said["schema"] == SCHEMA
    assert said["thresholds"] == {"off_map": 0.1, "uncertain": digits_guard.sure, "disputed": 0.05}
    assert said["facts"]["scores"].keys() == {"energy", "feature_neighbors"}
    assert said["facts"]["promise"]["value"] == digits_guard.promise.value
    assert said["facts"]["fingerprints"].keys() == {"weights", "train", "calibration"}
    assert said["facts"]["class_names"] == [str(digit) for digit in range(10)]


def test_the_network_is_not_in_the_file(saved, digits_run):
    names = load_file(saved).keys()
    assert {name.split(".")[0] for name in names} == {"ruler", "dispute", "atlas"}
    content = saved.read_bytes()
    kernels = [part for part in digits_run.model.parameters() if part.ndim == 4]
    assert kernels
    assert not any(part.detach().numpy().tobytes() in content for part in kernels)


def test_it_holds_no_pickle(saved):
    """A safetensors file is a length, JSON and plain numbers; nothing in it can be run."""
    raw = saved.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    entries = json.loads(raw[8 : 8 + length])
    ends = [said["data_offsets"][1] for name, said in entries.items() if name != "__metadata__"]
    assert 8 + length + max(ends) == len(raw)


# ---- writing


def test_it_is_written_whole_or_not_at_all(digits_guard, saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("offmap.guard.file.save_file", full)
    with pytest.raises(InputError, match=r"guard\.safetensors: expected to write there, got No sp"):
        digits_guard.save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_place_that_is_no_folder_is_refused(digits_guard, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"expected to write there, got .* give another path"):
        digits_guard.save(tmp_path / "file" / "guard.safetensors")


def test_others_may_read_it_as_any_new_file(saved):
    (saved.parent / "plain").write_text("")
    assert saved.stat().st_mode == (saved.parent / "plain").stat().st_mode


def test_what_is_loaded_no_longer_depends_on_the_file(
    saved, digits_run, digits_guard, fresh_digits
):
    guard = Guard.load(saved, model=digits_run.model)
    size = saved.stat().st_size
    with saved.open("r+b") as file:  # in place, as nobody should
        file.write(os.urandom(size))
    assert same(guard(fresh_digits.inputs), digits_guard(fresh_digits.inputs))


# ---- refusal


def refused(path, model, said):
    with pytest.raises(InputError, match=said) as caught:
        Guard.load(path, model=model)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path, digits_run):
    refused(tmp_path / "none", digits_run.model, "expected the file of a guard, got none of that")


def test_a_truncated_file_is_refused_wherever_it_ends(saved, digits_run):
    raw = saved.read_bytes()
    ends = [0, 1, 7, 8, 9, 100, len(raw) // 2, len(raw) - 1]
    for end in ends + torch.randint(len(raw), (30,)).tolist():
        saved.write_bytes(raw[:end])
        refused(saved, digits_run.model, "expected a whole safetensors file, got one that is cut")


@pytest.mark.parametrize("content", [b"hello", b"\x80\x02}q\x00.", b"PK\x03\x04", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(content, tmp_path, digits_run):
    (tmp_path / "guard").write_bytes(content)
    refused(tmp_path / "guard", digits_run.model, "expected a whole safetensors file")


def test_weights_of_a_network_are_refused(tmp_path, digits_run):
    save_file(digits_run.model.state_dict(), tmp_path / "weights.safetensors")
    refused(tmp_path / "weights.safetensors", digits_run.model, "are these the weights of a net")


def rewritten(path, change, *, sealed=True):
    """The file with another header or other tensors, its checksum made anew or left."""
    said, tensors = opened(path)
    seal = said.pop("checksum")
    change(said, tensors)
    seal = checksum(said, tensors) if sealed else seal
    save_file(tensors, path, {HEADER: json.dumps({"checksum": seal} | said)})


def test_a_newer_schema_is_refused(saved, digits_run):
    rewritten(saved, lambda said, _: said.update(schema=SCHEMA + 1), sealed=False)
    refused(
        saved, digits_run.model, rf"schema {SCHEMA} or older, got {SCHEMA + 1}: install a newer"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda said, _: said["thresholds"].update(off_map=0.0001),
        lambda said, _: said["thresholds"].update(uncertain=None),
        lambda said, _: said["facts"].update(alpha=0.01),
        lambda said, _: said["facts"]["domain"].update(high=2.0),
        lambda _, tensors: tensors["ruler.position"].add_(1e-9),
        lambda _, tensors: tensors["ruler.level"].mul_(2),
        lambda _, tensors: tensors["atlas.targets"].add_(1),
        lambda _, tensors: tensors.update(more=torch.zeros(1)),
        lambda _, tensors: tensors.pop("atlas.pictures"),
    ],
)
def test_anything_changed_is_refused(change, saved, digits_run):
    rewritten(saved, change, sealed=False)
    refused(saved, digits_run.model, "the checksum differs")


def test_any_bit_that_flips_is_refused(saved, digits_run):
    """Wherever it is: in the lengths, the names, the header or the numbers."""
    raw = bytearray(saved.read_bytes())
    generator = torch.Generator().manual_seed(0)
    head = 8 + int.from_bytes(raw[:8], "little")
    places = torch.cat([
        torch.randint(head, (40,), generator=generator),
        torch.randint(head, len(raw), (20,), generator=generator),
    ])  # fmt: skip
    for place in places.tolist():
        bad = bytearray(raw)
        bad[place] ^= 1 << int(torch.randint(8, (), generator=generator))
        saved.write_bytes(bad)
        refused(saved, digits_run.model, "expected|cannot be read")


def test_another_network_is_refused(saved, digits_run):
    other = digits(seed=1, epochs=1).model
    refused(
        saved, other, r"expected the network that the guard was fitted on \(weights [0-9a-f]+\)"
    )


def test_weights_that_changed_since_are_refused(saved, digits_run):
    model = copy.deepcopy(digits_run.model)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-6
    refused(saved, model, "got another or other weights")


def test_the_same_weights_in_another_network_are_refused(saved, digits_run):
    """It answers, but with other features than the score was fitted on."""

    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            for name, part in digits_run.model.named_children():
                self.add_module(name, part)

        def forward(self, inputs):
            return inputs.flatten(1)[:, :10]

    refused(saved, Other(), "an answer of its guard cannot be given|expected")


def test_a_score_that_is_not_installed_is_refused(saved, digits_run):
    def change(said, _):
        settings = said["facts"]["scores"]
        said["facts"]["scores"] = {"elsewhere": settings["energy"], "feature_neighbors": {}}

    rewritten(saved, change)
    refused(saved, digits_run.model, "got a guard with 'elsewhere': install the package")


def test_settings_of_another_version_are_refused(saved, digits_run):
    rewritten(saved, lambda said, _: said["facts"]["scores"]["feature_neighbors"].pop("k"))
    refused(saved, digits_run.model, "score feature_neighbors: expected the settings k, ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t.update({"ruler.level": t["ruler.level"][:, 1:].clone()}),
            "knots of one shape",
        ),
        (lambda t: t.update({"atlas.rows": t["atlas.rows"][1:].clone()}), "an atlas of as many"),
        (lambda t: t.pop("ruler.score.members.1.bank"), "expected the state center, bank"),
        (lambda t: t["ruler.score.members.1.bank"].fill_(torch.nan), "expected finite bank"),
        (lambda t: t.pop("atlas.points"), "KeyError: 'atlas.points'"),
        (
            lambda t: t.update(
                {"ruler.score.members.1.center": t["ruler.score.members.1.center"][1:].clone()}
            ),
            "an answer of its guard cannot be given",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, said, saved, digits_run):
    rewritten(saved, lambda _, tensors: change(tensors))
    refused(saved, digits_run.model, said)


def test_a_header_that_is_no_header_is_refused(saved, digits_run):
    _, tensors = opened(saved)
    for text, said in (("{", "the header cannot be read"), ("[]", "schema 1 or older, got None")):
        save_file(tensors, saved, {HEADER: text})
        refused(saved, digits_run.model, said)
