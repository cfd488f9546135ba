import math
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.estimate import exact
from offmap.guard.atlas import Atlas
from offmap.guard.attack import AttackResult, attack, infiltrate
from offmap.guard.descent import Ball
from offmap.guard.facts import Facts
from offmap.guard.guard import Guard
from offmap.guard.ruler import Ruler
from offmap.guard.seeing import Sight
from offmap.run import Domain, Split
from offmap.score import Seen

RATE = 0.05


class Stranger(nn.Module):
    """A score made of a function of the inputs [n d] (and how many there were)."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, seen: Seen) -> Tensor:
        return self.function(seen.inputs.flatten(1)).double()


def _linear(weight, bias: float = 0.0) -> nn.Sequential:
    """Two classes; class 1 leads by weight times the input, plus bias."""
    weight = torch.as_tensor(weight, dtype=torch.float32)
    head = nn.Linear(len(weight), 2)
    with torch.no_grad():
        head.weight.copy_(torch.stack([torch.zeros_like(weight), weight]))
        head.bias.copy_(torch.tensor([0.0, bias]))
    return nn.Sequential(nn.Flatten(), head)


def _ruler(function, thresholds=(0.0,)) -> Ruler:
    """Refuses from a threshold on, one for each class if there are several."""
    position = torch.tensor([[t - 1.0, t + RATE / (1 - RATE)] for t in thresholds]).double()
    return Ruler(
        Stranger(function), position, torch.tensor([[1.0, 0.0]] * len(thresholds)).double(), RATE
    )


def _guard(model, score, domain=None, thresholds=(0.0,), classifies=True, **reasons) -> Guard:
    size = next(w for w in model.parameters() if w.ndim > 1).shape[1]
    domain = domain or Domain((size,), torch.float32)
    facts = Facts(
        name="model", task="classification" if classifies else "regression", domain=domain,
        class_names=None, feature_layer=None, scores={"score": {}}, alpha=RATE,
        per_class=len(thresholds) > 1, confidence=None, risk=None, disputed=None,
        promise=exact(RATE), accepted_risk=None, accepted_share=None, neighbors=1, counts={},
        fingerprints={"weights": "0"}, seed=0, version="0",
    )  # fmt: skip
    none = torch.empty(0, dtype=torch.int64)
    atlas = Atlas(
        torch.zeros(1, size), torch.zeros(size), torch.zeros(1).long(), none, none.byte(),
        by_features=False,
    )  # fmt: skip
    sight = Sight(model, None, classifies=classifies)
    return Guard(sight, _ruler(score, thresholds), facts, atlas, **reasons)


def _familiar(x: Tensor) -> Tensor:
    return 0 * x[:, 0] - 0.5


def _points(n: int, d: int = 4, seed: int = 1) -> Split:
    """On either side of the plane where the first numbers sum to zero, with the right classes."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, d, generator=generator)
    return Split(inputs, (inputs @ _weight(d) > 0).long(), name="test")


def _weight(d: int) -> Tensor:
    return torch.arange(1.0, d + 1)


def _hit(guard: Guard, split: Split, seed: int = 0, **settings: Any) -> AttackResult:
    settings = {"steps": 40, "restarts": 3, "examples": 60} | settings
    return attack(guard, split, generator=torch.Generator().manual_seed(seed), **settings)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1.0), ("l2", 2.0)])
def test_a_linear_classifier_falls_where_the_radius_exceeds_its_margin(norm, dual):
    """Margin in linf: |w x| / |w|_1; in l2: |w x| / |w|_2. A guard that refuses nothing."""
    split, weight = _points(150), _weight(4)  # more than are attacked together
    margin = (split.inputs @ weight).abs() / weight.norm(p=dual)
    radius = margin.median().item() + 1e-3
    result = _hit(_guard(_linear(weight), _familiar), split, radius=radius, norm=norm, examples=150)
    falls = margin < radius
    for name in ("bare", "oblivious", "adaptive"):
        assert torch.equal(result.columns[name], falls), name
    assert result.bare == result.oblivious == result.adaptive
    assert result.adaptive.value == pytest.approx(falls.double().mean().item())
    assert result.untouched.value == result.false_alarms.value == 0
    assert result.caught is not None
    assert result.caught.value == 0


def test_nothing_passes_a_guard_that_refuses_everything():
    result = _hit(_guard(_linear(_weight(4)), lambda x: 0 * x[:, 0] + 9), _points(20), radius=5.0)
    assert result.bare.value == result.false_alarms.value == 1
    assert result.oblivious.value == result.adaptive.value == result.untouched.value == 0
    assert result.caught is not None
    assert result.caught.value == 1
    assert result.columns["distance"].isnan().all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_who_knows_the_guard_gets_past_it_where_that_is_possible(norm):
    """The class changes with the first number; the guard wants 0.15 in the second.

    The oblivious attacker never moves the second number, and is always caught.
    """
    guard = _guard(_linear([1.0, 0.0]), lambda x: 0.15 - x[:, 1])
    lead = torch.linspace(0.01, 0.4, 40)
    split = Split(torch.stack([-lead, torch.zeros(40)], dim=1), torch.zeros(40).long())
    result = _hit(guard, split, radius=0.25, norm=norm, steps=100)
    need = lead.clamp_min(0.15) if norm == "linf" else (lead.square() + 0.15**2).sqrt()
    assert result.caught is not None
    assert result.caught.value == 1
    assert result.oblivious.value == 0
    clear = (need - 0.25).abs() > 0.005
    assert torch.equal(result.columns["adaptive"][clear], (need < 0.25)[clear])
    assert result.columns["bare"].sum() > result.columns["adaptive"].sum() or norm == "linf"


def test_a_narrow_gate_is_found_by_short_steps():
    """Accepted only between 0.1 and 0.104 behind the boundary; the oblivious one runs past it."""

    def score(x):
        return (x[:, 0] - 0.102).abs() - 0.002

    guard = _guard(_linear([1.0, 1e-3]), score)
    split = Split(torch.tensor([[-0.2, 0.0], [-0.1, 0.0], [-0.35, 0.0]]), torch.zeros(3).long())
    result = _hit(guard, split, radius=0.4, steps=100)
    assert result.oblivious.value == 0
    assert result.columns["adaptive"].tolist() == [True, True, False]
    reached = result.inputs[:2, 0]
    assert ((reached >= 0.1) & (reached < 0.104)).all()


def test_answers_that_must_be_sure_cost_the_attacker_more():
    """Accepted from probability 0.9 on: the other class has to lead by log 9."""
    split, weight = _points(60), _weight(4)
    guard = _guard(_linear(weight), _familiar, sure=math.log(0.9))
    margin = ((split.inputs @ weight).abs() + math.log(9)) / weight.sum()
    radius = margin.median().item() + 1e-3
    result = _hit(guard, split, radius=radius)
    assert torch.equal(result.columns["adaptive"], margin < radius)


class Rivals(nn.Module):
    """Classes 1 and 2 rise together with the first number; the second one parts them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 3, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.0, 0.0], [10.0, 0.0], [10.0, -40.0]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x)


def test_who_knows_that_answers_must_be_sure_parts_the_rivals():
    """The oblivious attacker leaves class 1 no more likely than class 2, and is found uncertain."""
    guard = _guard(Rivals(), _familiar, sure=math.log(0.9))
    split = Split(torch.tensor([[-0.2, 1e-3], [-0.2, -0.5]]), torch.zeros(2).long())
    result = _hit(guard, split, radius=0.45, restarts=2)
    assert result.columns["bare"].all()
    assert result.columns["oblivious"].tolist() == [False, True]
    assert result.columns["adaptive"].all()


class Corner(nn.Module):
    """Class 1 beyond a sum of 1; flat before it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, 8), 10.0))

    def forward(self, x: Tensor) -> Tensor:
        lead = (self.scale * (x.mean(dim=1, keepdim=True) - 0.25).relu()).mean(dim=1) - 0.01
        return torch.stack([torch.zeros_like(lead), lead], dim=1)


def test_an_example_of_another_class_shows_the_way_where_the_network_is_flat():
    inputs = torch.stack([torch.zeros(8), torch.full((8,), 0.3)])
    split = Split(inputs, torch.tensor([0, 1]), name="test")
    result = _hit(_guard(Corner(), _familiar), split, radius=0.3, examples=2, restarts=4)
    assert result.columns["oblivious"].tolist() == [False, True]
    assert result.columns["adaptive"].tolist() == [True, True]
    assert result.columns["bare"].tolist() == [True, True]


def test_the_dispute_of_neighbors_is_part_of_the_guard():
    guard = _guard(_linear([1.0, 0.0]), _familiar, dispute=_ruler(lambda x: 0.15 - x[:, 1]))
    split = Split(torch.tensor([[-0.2, 0.0], [-0.3, 0.0]]), torch.zeros(2).long())
    result = _hit(guard, split, radius=0.25)
    assert result.columns["oblivious"].tolist() == [False, False]
    assert result.columns["adaptive"].tolist() == [True, False]


def test_thresholds_by_class_are_those_of_the_answer():
    """Class 1 is accepted where the second number is at least 0.2, class 0 anywhere."""
    guard = _guard(_linear([1.0, 0.0]), lambda x: -x[:, 1], thresholds=(9.0, -0.2))
    inputs = torch.tensor([[-0.05, 0.0], [-0.05, 0.1], [0.05, 0.0]])
    result = _hit(guard, Split(inputs, torch.tensor([0, 0, 1])), radius=0.15)
    assert result.columns["refused"].tolist() == [False, False, True]
    assert result.columns["oblivious"].tolist() == [False, False, True]
    assert result.columns["adaptive"].tolist() == [False, True, True]


def test_points_stay_in_the_domain_and_the_ball():
    """The boundary lies at 1.05, beyond the domain, for one class; at 0.95 for the other."""
    domain = Domain((2,), torch.float32, 0.0, 1.0)
    split = Split(torch.tensor([[0.9, 0.5], [0.99, 0.0]]), torch.zeros(2).long())
    outside = _hit(_guard(_linear([1.0, 0.0], -1.05), _familiar, domain), split, radius=0.5)
    assert outside.bare.value == 0
    within = _hit(_guard(_linear([1.0, 0.0], -1.05 + 0.1), _familiar, domain), split, radius=0.5)
    assert within.adaptive.value == 1
    assert within.inputs.min() >= 0
    assert within.inputs.max() <= 1


def _trained() -> tuple[nn.Module, Split]:
    """Three classes of points in the plane, and a small network that knows them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 3))
        targets = torch.arange(150) % 3
        angle = 2 * math.pi * targets / 3
        inputs = torch.stack([angle.cos(), angle.sin()], dim=1) + 0.25 * torch.randn(150, 2)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        optimizer.zero_grad()
    return model, Split(inputs, targets, name="test")


def _ring(x: Tensor) -> Tensor:
    """Stranger away from the three centers."""
    angle = 2 * math.pi * torch.arange(3) / 3
    centers = torch.stack([angle.cos(), angle.sin()], dim=1)
    return (x[:, None] - centers).norm(dim=2).amin(dim=1) - 0.8


@cache
def _attacked() -> tuple[Guard, Split, AttackResult]:
    model, split = _trained()
    guard = _guard(model, _ring)
    return guard, split, _hit(guard, split, radius=0.45, steps=60, restarts=4)


def test_success_is_what_the_guard_itself_says_and_who_knows_more_finds_more():
    guard, split, result = _attacked()
    columns, rows = result.columns, result.columns["row"]
    with torch.no_grad():
        verdict = guard(result.inputs)
    success = verdict.accepted & (verdict.prediction != split.targets[rows])
    assert torch.equal(columns["adaptive"], success)
    assert Ball(split.inputs[rows], 0.45, "linf", None, None).holds(result.inputs).all()
    missed = ~success
    assert torch.equal(result.inputs[missed], split.inputs[rows][missed])
    assert not (columns["oblivious"] & ~columns["adaptive"]).any()
    assert not (columns["adaptive"] & ~columns["bare"]).any()
    assert result.untouched.value <= result.oblivious.value
    assert result.oblivious.value < result.adaptive.value < result.bare.value
    assert torch.equal(columns["distance"].isnan(), missed)
    assert columns["distance"][success].max() <= 0.45 + 1e-6


def test_finds_nearly_all_that_a_search_of_the_whole_ball_finds():
    """Against a grid of 101 x 101 points around each input."""
    guard, split, result = _attacked()
    grid = 0.45 * torch.cartesian_prod(*[torch.linspace(-1, 1, 101)] * 2)
    exists = []
    for row in result.columns["row"]:
        with torch.no_grad():
            verdict = guard(split.inputs[row] + grid)
        exists.append((verdict.accepted & (verdict.prediction != split.targets[row])).any())
    exists = torch.stack(exists)
    assert 10 < int(exists.sum()) < 50
    missed = exists & ~result.columns["adaptive"]
    assert int(missed.sum()) <= 1


def test_same_generator_same_result_and_nothing_is_left_behind():
    model, split = _trained()
    model.train()
    guard = _guard(model, _ring)
    inputs, state = split.inputs.clone(), torch.random.get_rng_state()
    weights = {k: v.clone() for k, v in guard.state_dict().items()}
    first, second, third = (
        _hit(guard, split, radius=0.4, seed=seed, steps=20) for seed in (1, 1, 2)
    )
    assert torch.equal(first.inputs, second.inputs)
    assert first.adaptive == second.adaptive
    assert not torch.equal(first.columns["row"], third.columns["row"])
    assert torch.equal(split.inputs, inputs)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(weights[k], v) for k, v in guard.state_dict().items())
    assert all(w.grad is None for w in (*guard.parameters(), *model.parameters()))
    assert model.training
    assert not guard.training
    assert not first.inputs.requires_grad
    assert torch.is_grad_enabled()


def test_strangers_are_let_in_where_the_ball_reaches_the_map():
    """Accepted within distance 1 of the origin; strangers at 1.2 to 3."""
    far = torch.linspace(1.2, 3, 30)
    strangers = Split(torch.stack([far, torch.zeros(30)], dim=1), name="strangers")
    guard = _guard(_linear([1.0, 0.0]), lambda x: x.norm(dim=1) - 1)
    result = infiltrate(
        guard, strangers, radius=1.005, norm="l2", generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(result.columns["adaptive"], far <= 2.005)
    assert result.untouched.value == 0
    assert (result.inputs.norm(dim=1)[far <= 2.005] < 1).all()
    inside = Split(torch.zeros(3, 2))
    already = infiltrate(guard, inside, radius=0.1, generator=torch.Generator().manual_seed(0))
    assert already.untouched.value == already.adaptive.value == 1
    assert torch.equal(already.inputs, inside.inputs)


def test_familiar_inputs_show_the_way_where_no_gradient_does():
    """A score that is flat outside: a start towards a familiar input lands inside."""

    def flat(x):
        return torch.where(x.abs().amax(dim=1) < 1, -0.5, 0.5) + 0 * x[:, 0]

    guard = _guard(_linear([1.0, 0.0]), flat)
    strangers = Split(torch.tensor([[1.9, 0.3], [2.5, 0.0]]), name="strangers")
    familiar = Split(torch.tensor([[0.1, 0.1], [5.0, 0.0]]), name="train")
    for known, reached in ((None, [False, False]), (familiar, [True, False])):
        result = infiltrate(
            guard, strangers, radius=1.0, restarts=2, familiar=known,
            generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        assert result.columns["adaptive"].tolist() == reached


def test_a_regression_can_be_infiltrated_and_not_attacked():
    guard = _guard(_linear([1.0, 0.0]), lambda x: x.norm(dim=1) - 1, classifies=False)
    strangers = Split(torch.tensor([[1.5, 0.0]]), name="strangers")
    result = infiltrate(guard, strangers, radius=1.0, generator=torch.Generator().manual_seed(0))
    assert result.adaptive.value == 1
    with pytest.raises(InputError, match="expected a guarded classifier, got a regression"):
        _hit(guard, strangers, radius=1.0)


def test_says_that_a_score_without_gradient_limits_the_attack():
    guard = _guard(_linear([1.0, 0.0]), lambda x: (x[:, 1] < 0.1).double())
    split = Split(torch.tensor([[-0.1, 0.0]]), torch.zeros(1).long())
    result = _hit(guard, split, radius=0.3, restarts=5)
    assert result.notes == ("The score passes no gradient: a stronger attack may exist.",)
    assert _hit(_guard(_linear([1.0, 0.0]), _familiar), split, radius=0.3).notes == ()


def test_refuses_what_cannot_be_attacked():
    split, guard = _points(5), _guard(_linear(_weight(4)), _familiar)
    settings: dict[str, Any]
    for settings in ({"radius": 0.0}, {"radius": 0.1, "steps": 0}, {"radius": 0.1, "examples": 0}):
        with pytest.raises(ValueError, match="expected radius > 0 and steps, restarts, examples"):
            _hit(guard, split, **settings)
    with pytest.raises(ValueError, match="expected the norm linf or l2, got 'l1'"):
        _hit(guard, split, radius=0.1, norm="l1")
    with pytest.raises(InputError, match="test: expected targets"):
        _hit(guard, Split(split.inputs, name="test"), radius=0.1)
    whole = _guard(_linear(_weight(4)), _familiar, Domain((4,), torch.uint8))
    with pytest.raises(InputError, match=r"floating-point inputs, got torch.uint8"):
        _hit(whole, split, radius=0.1)


def test_refuses_a_network_that_passes_no_gradient():
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _linear(_weight(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.detach())

    with pytest.raises(InputError, match="expected a network that passes a gradient"):
        _hit(_guard(Cut(), _familiar), _points(5), radius=0.1)
