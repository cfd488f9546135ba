import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from scipy import integrate, stats
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from offmap.attempt import CannotMeasure, InputError
from offmap.catalog import scores as all_scores
from offmap.guard.choice import Choice
from offmap.guard.choose import choose, divided, shares
from offmap.guard.holdout import folds, left_out, narrowed, parts
from offmap.guard.progress import Stage
from offmap.guard.seeing import Sight, scores_of
from offmap.guard.strangers import FAMILIES
from offmap.guard.trial import cell, panel
from offmap.run import Domain, Recipe, Split
from offmap.seeds import derive
from offmap.train import trainer

DOMAIN = Domain((1, 8, 8), torch.float32, 0.0, 1.0, "image")
TRIED = ("energy", "max_softmax", "virtual_logit")
JOINED = (("energy", "virtual_logit"), ("energy", "input_neighbors"))
FEW = ("uniform", "bernoulli", "permuted", "inverted", "spliced", "noisy 1", "noisy 3")


def _build() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def _optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=5e-3)


RECIPE = Recipe(_build, _optimizer, functional.cross_entropy, epochs=8, batch_size=32)


@cache
def _data() -> tuple[Split, Split, Split]:
    """Train, calibration and other digits."""
    pixels, classes = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    whole = Split(images, torch.tensor(classes, dtype=torch.int64))
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    train, calibration, other = (
        whole.take(rows) for rows in order.split([700, 400, len(order) - 1100])
    )
    return train, calibration, other


@cache
def _model() -> nn.Module:
    return trainer(RECIPE)(_data()[0], torch.Generator().manual_seed(0))


def _choose(**settings: Any) -> Choice:
    train, calibration, _ = _data()
    given: dict[str, Any] = {
        "scores": TRIED,
        "ensembles": JOINED,
        "families": FEW,
        "domain": DOMAIN,
    } | settings
    return choose(_model(), train, calibration, **given)


@cache
def _chosen() -> Choice:
    return _choose(recipe=RECIPE, outliers={"bright": _bright()})


def _bright() -> Split:
    return Split((_data()[2].inputs[:200] + 0.5).clamp(0, 1))


# ---------------------------------------------------------------------------- one cell of the table


def _normal(n: int, generator: torch.Generator, *, shared: float = 0.0) -> tuple[Tensor, Tensor]:
    """Familiar N(0, 1), strangers N(1.5, 1), with a correlation."""
    x, y = torch.randn(2, n, dtype=torch.double, generator=generator)
    return x, 1.5 + shared * x + math.sqrt(1 - shared**2) * y


def _truth() -> tuple[float, float, float]:
    """Area, average precision and misses of N(0, 1) against N(1.5, 1)."""

    def precision(t: float) -> float:
        hit, alarm = stats.norm.sf(t - 1.5), stats.norm.sf(t)
        return float(hit / (hit + alarm) * stats.norm.pdf(t - 1.5))

    return (
        float(stats.norm.cdf(1.5 / math.sqrt(2))),
        integrate.quad(precision, -8, 10)[0],
        float(stats.norm.cdf(stats.norm.ppf(0.95) - 1.5)),
    )


def test_a_cell_of_a_large_sample_is_the_truth(generator):
    found = cell(*_normal(8000, generator), generator=generator)
    for estimate, value in zip((found.auroc, found.aupr, found.fpr95), _truth(), strict=True):
        assert estimate.value == pytest.approx(value, abs=0.02)
        assert estimate.high - estimate.low < 0.05


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_intervals_of_a_cell_cover(shared, generator):
    """Strangers made of the familiar rows hang together with them; the interval knows."""
    covered = torch.zeros(3)
    width = 0.0
    for _ in range(200):
        found = cell(
            *_normal(150, generator, shared=shared), paired=shared > 0, generator=generator
        )
        estimates = (found.auroc, found.aupr, found.fpr95)
        covered += torch.tensor(
            [e.low <= value <= e.high for e, value in zip(estimates, _truth(), strict=True)]
        )
        width += (found.auroc.high - found.auroc.low) / 200
    assert (covered >= 180).all() and (covered <= 198).all(), covered
    assert (width > 0.07) == (shared == 0)


def test_a_perfect_score_is_not_certain(generator):
    found = cell(torch.zeros(50), torch.ones(50), generator=generator)
    assert (found.auroc.value, found.aupr.value, found.fpr95.value) == (1, 1, 0)
    assert found.auroc.low < 0.95 and found.aupr.low < 0.95 and found.fpr95.high > 0.05


# ------------------------------------------------------------------------------------- the choice


def test_the_table_is_what_the_scores_say():
    """Two cells, recomputed step by step with scikit-learn."""
    _, calibration, _ = _data()
    reference, _ = divided(calibration, 0)
    sight = Sight(_model(), "3", classifies=True)
    energy = all_scores()["energy"].function
    found = {one.name: one for one in _chosen().candidates}["energy"]
    for name in ("uniform", "spliced"):
        strangers = FAMILIES[name](reference, DOMAIN, derive(0, "family", name))
        values = [energy(sight(split.inputs).logits) for split in (reference, strangers)]
        label = [0] * len(reference) + [1] * len(strangers)
        expected = roc_auc_score(label, torch.cat(values).detach().numpy())
        assert found.cells[name].auroc.value == pytest.approx(expected, abs=1e-9)
    outliers = energy(sight(_bright().inputs).logits)
    inside = energy(sight(reference.inputs).logits)
    expected = (outliers[:, None] > inside[None]).double().mean().item()
    assert found.cells["outliers bright"].auroc.value == pytest.approx(expected, abs=1e-9)
    assert len(reference) == _chosen().reference == 160


def test_merit_weighs_groups_alike_and_the_best_comes_first():
    choice = _chosen()
    weights = {name: family.weight for name, family in choice.families.items()}
    groups: dict[str, float] = {}
    for family in choice.families.values():
        groups[family.group] = groups.get(family.group, 0) + family.weight
    for group in ("noise", "arrangement", "corruption", "composition"):
        assert groups[group] == pytest.approx(0.125)
    assert groups["class"] == groups["left out"] == pytest.approx(0.25)
    assert weights["noisy 1"] == 0 == weights["outliers bright"]
    assert weights["uniform"] == weights["bernoulli"] == pytest.approx(0.0625)
    for one in choice.candidates:
        assert one.merit == pytest.approx(
            sum(weights[name] * found.auroc.value for name, found in one.cells.items())
        )
        assert one.far == pytest.approx(
            sum(one.cells[name].auroc.value for name in ("uniform", "bernoulli", "permuted")) / 3
        )
    merits = [one.merit for one in choice.candidates]
    assert merits == sorted(merits, reverse=True)
    assert choice.best == choice.candidates[0].scores
    assert choice.candidates[0].name in choice.why and f"{merits[0]:.3f}" in choice.why


def test_ensembles_stand_beside_their_members():
    choice = _chosen()
    names = [one.name for one in choice.candidates]
    assert set(names) == {*TRIED, "energy + virtual_logit"}  # of the other, a member was not tried
    by_name = {one.name: one for one in choice.candidates}
    joint = by_name["energy + virtual_logit"]
    assert joint.state_bytes == by_name["virtual_logit"].state_bytes > 0
    assert joint.overhead == pytest.approx(
        by_name["energy"].overhead + by_name["virtual_logit"].overhead
    )
    assert all(one.overhead > 0 for one in choice.candidates)


def test_classes_have_half_of_the_say_however_they_play_strangers():
    assert shares({"noise", "left out"}) == {"noise": 0.5, "left out": 0.5}
    assert shares({"noise", "corruption", "class"}) == {
        "noise": 0.25, "corruption": 0.25, "class": 0.5
    }  # fmt: skip
    found = shares({"noise", "corruption", "class", "left out", "outliers"})
    assert found["class"] == found["left out"] == 0.25
    assert sum(found.values()) == pytest.approx(1) and len(set(found.values())) == 2
    assert shares({"noise", "corruption"}) == {"noise": 0.5, "corruption": 0.5}
    assert shares({"class"}) == {"class": 1.0}


def _played(group: str) -> list[set[int]]:
    """The classes that play the strangers in each family of the group."""
    names = [name for name, family in _chosen().families.items() if family.group == group]
    return [{int(c) for c in name.replace("left out", "without")[8:].split(", ")} for name in names]


def test_every_class_is_left_out_of_the_scores_once():
    played = _played("left out")
    assert [len(classes) for classes in played] == [2] * 5
    assert set().union(*played) == set(range(10))


def test_a_class_left_out_is_a_stranger_to_a_score_and_not_to_the_network():
    """One cell of the table, recomputed: the head without its outputs, on fresh examples."""
    _, calibration, _ = _data()
    reference, _ = divided(calibration, 0)
    first = parts(_data()[0], reference, 0)[0].sort().values
    name = f"left out {first[0]}, {first[1]}"
    with torch.no_grad():
        logits = _model()(reference.inputs)
    kept = [c for c in range(10) if c not in first]
    gone = torch.isin(reference.targets, first)
    energy = -logits[:, kept].double().logsumexp(dim=1)
    expected = roc_auc_score(gone.numpy(), energy.numpy())
    found = {one.name: one for one in _chosen().candidates}
    assert found["energy"].cells[name].auroc.value == pytest.approx(expected, abs=1e-6)
    assert _chosen().families[name].rows == int(gone.sum())


def test_classes_that_a_retrained_network_never_saw():
    played = _played("class")
    assert [len(classes) for classes in played] == [2, 2] and not played[0] & played[1]
    held = {name for name, family in _chosen().families.items() if family.group == "class"}
    energy = {one.name: one for one in _chosen().candidates}["energy"]
    assert all(energy.cells[name].auroc.low > 0.5 for name in held)
    assert _chosen().notes == ()


def test_outliers_have_no_say_unless_asked():
    plain, told = _choose(), _choose(outliers={"bright": _bright()}, count_outliers=True)
    assert "no network was trained without some classes" in plain.notes[0]
    assert told.families["outliers bright"].weight == pytest.approx(0.1)
    assert plain.families["uniform"].weight == pytest.approx(0.0625)
    by_name = {one.name: one for one in _chosen().candidates}
    for one in plain.candidates:  # adding outliers or a recipe moves no other number
        for name, found in one.cells.items():
            assert by_name[one.name].cells[name] == found


def test_the_same_seed_gives_the_same_choice():
    first, again, other = _choose(), _choose(), _choose(seed=1)
    timeless = [
        [replace(one, overhead=0.0) for one in choice.candidates] for choice in (first, again)
    ]
    assert timeless[0] == timeless[1]
    assert other.candidates[0].cells != first.candidates[0].cells


def test_leaves_the_model_as_it_was():
    model = _model()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.train()
    state = torch.get_rng_state()
    _choose(recipe=RECIPE, retrainings=1)
    assert model.training and all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.get_submodule("3")._forward_pre_hooks


def test_round_trip_through_json():
    assert Choice.from_json(_chosen().to_json()) == _chosen()


def test_one_family_shown_and_the_others_new():
    found = _chosen().one_shown()
    names = list(_chosen().families)
    assert list(found.rows) == names == list(found.columns)
    for row, shown in enumerate(names):
        best = max(one.cells[shown].auroc.value for one in _chosen().candidates)
        tied = [one for one in _chosen().candidates if one.cells[shown].auroc.value == best]
        for column, name in enumerate(names):
            expected = sum(one.cells[name].auroc.value for one in tied) / len(tied)
            assert found.values[row, column].item() == pytest.approx(expected)
    assert (found.values.diagonal() >= found.values.amax(dim=0) - 1e-12).all()


class Headless(nn.Module):
    """A network in which offmap sees no head."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 64, generator=torch.Generator().manual_seed(0)))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1) @ self.weight.T


def test_what_cannot_be_fitted_is_listed_with_its_reason():
    train, calibration, _ = _data()
    found = choose(
        Headless(), train, calibration, scores=TRIED, families=("uniform",), domain=DOMAIN,
        recipe=RECIPE,
    )  # fmt: skip
    assert "no layer that offmap can take as a head" in found.refused["virtual_logit"]
    assert {one.name for one in found.candidates} == {"energy", "max_softmax"}


def test_a_constant_score_is_listed_with_its_reason():
    class Zero(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.zeros(len(inputs), 10) + 0 * inputs.flatten(1)[:, :10]

    train, calibration, _ = _data()
    with pytest.raises(InputError, match=r"got none: .*energy.*all 160 reference rows the same"):
        choose(Zero(), train, calibration, scores=["energy"], domain=DOMAIN)


def test_regression_has_scores_too():
    train, calibration, _ = _data()
    few = [Split(s.inputs, s.inputs.mean(dim=(1, 2, 3))[:, None]) for s in (train, calibration)]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1))
    features = [
        name for name, unit in all_scores().items() if set(unit.seen) <= {"inputs", "features"}
    ]
    if not features:
        pytest.skip("no score reads features alone")
    found = choose(model, *few, families=("uniform", "spliced"), domain=DOMAIN, recipe=RECIPE)
    assert found.refused["energy"] == "score energy cannot be fitted: " + (
        "the network does no classification"
    )
    assert found.notes and found.candidates


def test_refusals():
    train, calibration, _ = _data()
    with pytest.raises(InputError, match=r"expected at least 125 examples, .*got 120"):
        choose(_model(), train, calibration.window(0, 120), domain=DOMAIN, scores=TRIED)
    with pytest.raises(InputError, match="expected a score, got 'energi': did you mean energy"):
        _choose(scores=["energi"])
    with pytest.raises(InputError, match="expected a family of strangers, got 'uniforn'"):
        _choose(families=["uniforn"])
    with pytest.raises(InputError, match="expected a family with a say in the choice"):
        _choose(families=["noisy 1"], leavings=0)
    with pytest.raises(InputError, match="outliers far: expected"):
        _choose(outliers={"far": Split(_bright().inputs * 100)})


# ---------------------------------------------------------------------------------- its parts


def test_divided_is_a_partition_in_the_order_of_fit_guard():
    _, calibration, _ = _data()
    first, rest = divided(calibration, 3)
    assert (len(first), len(rest)) == (160, 240)
    both = torch.cat([first.inputs, rest.inputs]).flatten(1)
    whole = calibration.inputs.flatten(1)
    assert torch.equal(both.unique(dim=0), whole.unique(dim=0))
    order = torch.randperm(400, generator=derive(3, "uses"))
    assert torch.equal(first.inputs, calibration.take(order[:160].sort().values).inputs)


def test_folds_number_the_classes_anew_and_train_without_the_others():
    train, calibration, _ = _data()
    made = list(folds(RECIPE, "3", train, calibration, count=9, rows=50, seed=0))
    assert sorted(c for fold in made for c in fold.gone) == list(range(10))
    for fold in made[:2]:
        kept = [c for c in range(10) if c not in fold.gone]
        for part, whole in ((fold.train, train), (fold.reference, calibration)):
            rows = torch.isin(whole.targets, torch.tensor(kept))
            assert torch.equal(part.inputs, whole.inputs[rows])
            assert torch.equal(torch.tensor(kept)[part.targets], whole.targets[rows])
        assert set(fold.strangers.targets.tolist()) == set(fold.gone)
        assert len(fold.strangers) == 50
        said = fold.model(fold.reference.inputs)
        assert said.shape[1] == 8
        assert (said.argmax(1) == fold.reference.targets).double().mean() > 0.85


def test_left_out_keeps_the_network_and_takes_its_classes():
    train, calibration, _ = _data()
    before = {name: weight.clone() for name, weight in _model().state_dict().items()}
    made = list(left_out(_model(), "3", train, calibration, count=9, seed=0))
    assert sorted(c for fold in made for c in fold.gone) == list(range(10))
    for fold in made:
        kept = [c for c in range(10) if c not in fold.gone]
        for inputs in (train.inputs[:20], fold.strangers.inputs[:20]):
            assert torch.allclose(fold.model(inputs), _model()(inputs)[:, kept], atol=1e-5)
        assert not torch.isin(train.targets, torch.tensor(fold.gone)).all()
        assert len(fold.train) == int(torch.isin(train.targets, torch.tensor(kept)).sum())
        fresh = calibration.inputs[torch.isin(calibration.targets, torch.tensor(fold.gone))]
        assert torch.equal(fold.strangers.inputs, fresh)
        assert len(fold.reference) + len(fresh) == len(calibration)
        assert fold.train.targets.unique().tolist() == list(range(8))
    assert all(torch.equal(w, before[name]) for name, w in _model().state_dict().items())
    assert len(list(left_out(_model(), "3", train, calibration, count=2, seed=0))) == 2


def test_classes_of_which_no_fresh_example_was_drawn_are_passed_over():
    train, calibration, _ = _data()
    few = calibration.take((calibration.targets != 3).nonzero().flatten())
    few = few.take((few.targets < 8).nonzero().flatten())
    made = list(left_out(_model(), "3", train, few, count=9, seed=0))
    assert all(len(fold.strangers) and len(fold.reference) for fold in made)
    assert {c for fold in made for c in fold.gone} >= {0, 1, 2, 4, 5, 6, 7}


def test_unknown_classes_of_fresh_examples_are_said():
    train, calibration, _ = _data()
    found = choose(
        _model(), train, Split(calibration.inputs), scores=["energy"], families=("uniform",),
        domain=DOMAIN, recipe=RECIPE,
    )  # fmt: skip
    assert found.notes == ("no classes play the strangers: the calibration data have no classes",)
    assert set(found.families) == {"uniform"}


def test_says_how_far_it_has_come():
    stages: list[Stage] = []
    _choose(recipe=RECIPE, retrainings=1, scores=["energy", "max_softmax"], watch=stages.append)
    assert [stage.done for stage in stages] == sorted(stage.done for stage in stages)
    last = stages[-1]
    assert last.done == last.total == 2 * (1 + 5 + 1) + len(FEW) + RECIPE.epochs
    assert last.seconds_left == 0 and not last.open
    assert any(stage.what == "retraining" and stage.seconds_left > 0 for stage in stages)
    assert stages[0].open


def test_a_choice_that_was_stopped_goes_on(tmp_path):
    """The second time no network is trained, and the choice is the same."""
    trained = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        trained.append(len(targets))
        return functional.cross_entropy(outputs, targets)

    def run(**changed: Any) -> Choice:
        recipe = replace(RECIPE, loss=loss, epochs=3, **changed)
        return _choose(recipe=recipe, scores=["energy"], ensembles=(), work=tmp_path)

    first = run()
    assert trained and len(list(tmp_path.iterdir())) == 2
    trained.clear()
    again = run()
    assert not trained
    cells = [one.cells for one in (*first.candidates, *again.candidates)]
    assert cells[0] == cells[1]
    run(batch_size=64)
    assert trained and len(list(tmp_path.iterdir())) == 4
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"\.safetensors: "):
        run()


def test_narrowed_cuts_outputs_off():
    whole = _build()
    inputs = _data()[0].inputs[:5]
    kept = torch.tensor([1, 4, 9])
    expected = whole(inputs)[:, kept]
    assert torch.allclose(narrowed(whole, "3", kept, inputs)(inputs), expected, atol=1e-6)
    twice = nn.Sequential(_build(), nn.Linear(10, 10, bias=False))
    with pytest.raises(CannotMeasure, match="no linear head"):
        narrowed(twice, "0.1", kept, inputs)
    with pytest.raises(CannotMeasure, match="no linear head"):
        narrowed(_build(), None, kept, inputs)


def test_two_classes_are_too_few_to_leave_some_out():
    train, calibration, _ = _data()
    few = train.with_targets(train.targets % 2)
    with pytest.raises(CannotMeasure, match="2 classes, too few"):
        list(folds(RECIPE, "3", few, calibration, count=1, rows=9, seed=0))


def test_scores_of_a_split_are_those_of_the_panel():
    """The table's values come in one pass for all scores; the guard's come one score at a time."""
    train, calibration, _ = _data()
    sight = Sight(_model(), "3", classifies=True)
    units = {name: all_scores()[name] for name in TRIED}
    made, found = panel(sight, train, calibration, units, JOINED, settings={}, seed=0, memory=2**30)
    for name, member in made.members.items():
        assert torch.equal(found[name], scores_of(member, sight, calibration))
