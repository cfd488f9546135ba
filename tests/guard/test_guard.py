"""What a guard says of a batch: every reason, their order, and that it is a module like others."""

import copy
import math
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.guard.facts import REASONS
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.guard.ruler import Ruler
from offmap.guard.seeing import Sight
from offmap.guard.verdict import within
from offmap.run import Domain, Split
from offmap.testing import tiny

from . import worlds

LINE = torch.tensor([[0.0, 1.0]], dtype=torch.double), torch.tensor([[1.0, 0.0]]).double()


class _Column(nn.Module):
    """A score that stands in the input itself."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, seen):
        return seen.inputs[:, self.number].double()


class _Sure(nn.Module):
    """Logits that stand in the input itself."""

    def forward(self, inputs):
        return torch.stack([inputs[:, 2], torch.zeros_like(inputs[:, 2])], dim=1)


@pytest.fixture
def made(digits_guard):
    """A guard whose every judgment can be read off its input: p = 1 - x0, 1 - x1, and x2 logits."""
    facts = replace(digits_guard.facts, domain=Domain((4,), torch.float32, -9, 9))
    return Guard(
        Sight(_Sure(), None, classifies=True), Ruler(_Column(0), *LINE, 0.25), facts,
        digits_guard.atlas, sure=-0.1, dispute=Ruler(_Column(1), *LINE, 0.25),
    )  # fmt: skip


def test_the_first_reason_that_holds_is_given(made):
    """Every combination of the four that a batch can be refused for."""
    rows, first = [], []
    for broken, strange, unsure, disputed in product((False, True), repeat=4):
        rows.append([0.96 if strange else 0.5, 0.9 if disputed else 0.5, 0.5 if unsure else 8.0,
                     torch.nan if broken else 0.0])  # fmt: skip
        held = {"contract": broken, "off_map": strange, "uncertain": unsure, "disputed": disputed}
        first.append(next((name for name, holds in held.items() if holds), "accepted"))
    verdict = made(torch.tensor(rows))
    assert [REASONS[code] for code in verdict.reason] == first
    assert verdict.accepted.tolist() == [name == "accepted" for name in first]
    whole = verdict.reason != REASONS.index("contract")
    assert torch.equal(verdict.p_value.isnan(), ~whole)
    assert torch.equal(verdict.score.isnan(), ~whole)
    assert verdict.prediction[~whole].tolist() == [-1] * 8
    assert (verdict.prediction[whole] == 0).all()


def test_thresholds_are_met_where_they_are_reached(made):
    """p = 1/4 is refused, and so is an answer exactly as sure as the threshold."""
    edge = torch.tensor([[0.75, 0, 8, 0], [0.7499, 0, 8, 0], [0, 0.75, 8, 0], [0, 0.7499, 8, 0]])
    assert [REASONS[code] for code in made(edge).reason] == [
        "off_map", "accepted", "disputed", "accepted",
    ]  # fmt: skip
    made.sure = torch.tensor([1.0, 0.0]).double().log_softmax(dim=0)[0].item()
    assert REASONS[made(torch.tensor([[0.0, 0, 1, 0]])).reason[0]] == "uncertain"


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 9.1, -9.1])
def test_a_broken_input_spoils_only_itself(made, value):
    rows = torch.tensor([[0.1, 0.2, 8.0, 0.0], [0.3, 0.1, 7.0, 0.0]])
    broken = torch.cat([rows[:1], torch.full((1, 4), value), rows[1:]])
    alone, among = made(rows), made(broken)
    assert REASONS[among.reason[1]] == "contract"
    for one, other in zip(alone, among, strict=True):
        assert torch.equal(one, other[[0, 2]])


def test_every_reason_is_found_on_real_data(digits_run, digits_guard, fresh_digits):
    assert REASONS == ("accepted", "contract", "off_map", "uncertain", "disputed", "drift")
    noise = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    moved = [split.inputs for split in digits_run.shifts.values()]
    inputs = torch.cat([fresh_digits.inputs, noise, 2 * noise, *moved])
    counts = digits_guard(inputs).reason.bincount(minlength=6).tolist()
    assert all(counts[REASONS.index(name)] for name in ("accepted", "contract", "off_map"))
    lax = copy.deepcopy(digits_guard)
    lax.sure = None
    codes = torch.cat([guard(inputs).reason for guard in (digits_guard, lax)])
    found = {REASONS[code] for code in codes.tolist()}
    assert found == {"accepted", "contract", "off_map", "uncertain", "disputed"}


def test_rows_do_not_see_one_another(digits_guard, fresh_digits):
    inputs = fresh_digits.inputs
    whole = digits_guard(inputs)
    pieces = [digits_guard(part) for part in inputs.split(7)]
    for name in ("prediction", "accepted", "reason"):
        joined = torch.cat([getattr(piece, name) for piece in pieces])
        assert torch.equal(joined, getattr(whole, name))
    apart = torch.cat([piece.p_value for piece in pieces]) - whole.p_value
    assert apart.abs().max() < 1e-5  # products of other sizes round another way
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
    assert torch.equal(digits_guard(inputs[order]).reason, whole.reason[order])


def test_the_prediction_is_that_of_the_network(digits_run, digits_guard, fresh_digits):
    with torch.no_grad():
        said = digits_run.model.eval()(fresh_digits.inputs).argmax(dim=1)
    assert torch.equal(digits_guard(fresh_digits.inputs).prediction, said)


def test_an_empty_batch_has_an_empty_verdict(digits_guard, fresh_digits):
    assert [len(part) for part in digits_guard(fresh_digits.inputs[:0])] == [0] * 5


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (torch.zeros(2, 8, 8), r"shape \(n, 1, 8, 8\) .*float32, got \(2, 8, 8\)"),
        (torch.zeros(2, 1, 8, 8).double(), r"got \(2, 1, 8, 8\) of torch.float64: reshape or conv"),
        (torch.zeros(2, 1, 8, 8).byte(), r"of torch.uint8"),
    ],
)
def test_a_batch_of_another_shape_or_type_is_refused(digits_guard, inputs, said):
    with pytest.raises(InputError, match=said):
        digits_guard(inputs)


def test_a_regression_is_guarded_too(generator):
    inputs = torch.randn(500, 3, generator=generator)
    targets = inputs @ torch.randn(3, 2, generator=generator)
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
    guard = fit_guard(
        model, Split(inputs[:200], targets[:200]), Split(inputs[200:400], targets[200:400]),
        score=("mahalanobis", "feature_neighbors"), alpha=0.1,
    )  # fmt: skip
    with torch.no_grad():
        assert torch.equal(guard(inputs[400:]).prediction, model(inputs[400:]))
    assert 0.75 < guard(inputs[400:]).accepted.double().mean() <= 1
    assert not guard(100 * inputs[400:]).accepted.any()
    answer = guard.answer(inputs[400:401])[0]
    assert answer.prediction == pytest.approx(model(inputs[400:401]).flatten().tolist())
    assert answer.label is None
    assert answer.neighbors[0].target is None
    assert "disputed" not in answer.detail


@pytest.mark.parametrize("run", [tiny.tokens(), tiny.reconstruction()], ids=lambda run: run.name)
def test_tokens_and_reconstructions_are_refused(run):
    with pytest.raises(InputError, match="expected a classifier or a regression to guard, got"):
        fit_guard(run.model, run.train, run.test)


# ---- a module like others


def test_the_network_of_the_guard_is_a_frozen_copy(generator):
    model: Any = worlds.network()
    train, calibration = worlds.drawn(60, generator), worlds.drawn(100, generator)
    guard = fit_guard(model, train, calibration, score="energy")
    before = guard(calibration.inputs)
    with torch.no_grad():
        model[0].weight.fill_(7.0)
    assert torch.equal(guard(calibration.inputs).p_value, before.p_value)
    assert not any(weight.requires_grad for weight in guard.parameters())


def test_it_stays_in_evaluation_mode(digits_guard):
    guard = copy.deepcopy(digits_guard).train()
    assert not any(part.training for part in guard.modules())


def test_gradients_flow_to_the_input(digits_guard, fresh_digits):
    inputs = fresh_digits.inputs[:3].clone().requires_grad_()
    _, seen = digits_guard.judge(inputs)
    digits_guard.ruler.score(seen).sum().backward()
    assert inputs.grad.abs().amax(dim=(1, 2, 3)).gt(0).all()


def test_a_copy_stands_for_itself(digits_guard, fresh_digits):
    twin = copy.deepcopy(digits_guard)
    before = digits_guard(fresh_digits.inputs)
    assert torch.equal(twin(fresh_digits.inputs).p_value, before.p_value)
    for part in twin.sight.model.parameters():
        part.data.zero_()
    assert torch.equal(digits_guard(fresh_digits.inputs).p_value, before.p_value)
    assert not torch.equal(twin(fresh_digits.inputs).score, before.score)


def test_its_state_goes_from_one_to_another(digits_guard, fresh_digits):
    blank = copy.deepcopy(digits_guard)
    for part in (*blank.parameters(), *blank.buffers()):
        part.data.zero_()
    blank.load_state_dict(digits_guard.state_dict())
    for one, other in zip(
        blank(fresh_digits.inputs), digits_guard(fresh_digits.inputs), strict=True
    ):
        assert torch.equal(one, other)
    assert {name.split(".")[0] for name in blank.state_dict()} == {
        "sight", "ruler", "dispute", "atlas",
    }  # fmt: skip


def test_it_moves_as_a_whole(digits_guard):
    moved = copy.deepcopy(digits_guard).to("meta")
    assert {part.device.type for part in (*moved.parameters(), *moved.buffers())} == {"meta"}
    same = copy.deepcopy(digits_guard).to("cpu")
    assert all(
        part.dtype == other.dtype
        for part, other in zip(same.buffers(), digits_guard.buffers(), strict=True)
    )


class _Slow(nn.Module):
    """A network whose head waits until another thread has passed it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 2, bias=False)
        self.barrier = None

    def forward(self, inputs):
        out = self.head(inputs)
        if self.barrier is not None:
            self.barrier.wait(timeout=20)
        return out

    def __deepcopy__(self, memo):
        twin = _Slow()
        twin.load_state_dict(self.state_dict())
        return twin


def test_threads_do_not_take_one_another_s_features(generator):
    """Both pass the head before either looks at what was caught there."""
    train, calibration = worlds.drawn(60, generator), worlds.drawn(100, generator)
    guard: Any = fit_guard(_Slow(), train, calibration, score="mahalanobis", neighbors=2)
    inputs = torch.tensor([[0.1]]), torch.tensor([[-4.0]])
    alone = [guard(one) for one in inputs]
    guard.sight.model.barrier = threading.Barrier(2)
    found: list[Any] = [None, None]

    def ask(number):
        found[number] = guard(inputs[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, found, strict=True):
        assert torch.equal(one.score, other.score)


# In a process of its own: here every function checks its types, which the compiler cannot read.
COMPILE = """
import torch
from offmap.demo import digits
from offmap.guard.fit import fit_guard
run = digits(epochs=1)
calibration, fresh = (run.test.take(rows) for rows in torch.arange(597).split(400))
guard = fit_guard(run.model, run.train, calibration, score=("energy", "feature_neighbors"),
                  alpha=0.1, disputed=0.1, domain=run.domain)
inputs = torch.cat([fresh.inputs, 2 * fresh.inputs[:9]])
fast = torch.compile(guard, fullgraph=True, dynamic=True, backend="eager")
with torch.no_grad():
    for batch in (inputs, inputs[:5]):
        one, other = guard(batch), fast(batch)
        for name in ("prediction", "accepted", "reason"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        apart = (one.p_value - other.p_value).abs().nan_to_num(0).max()
        assert apart < 1e-5, apart
        assert torch.equal(one.p_value.isnan(), other.p_value.isnan())
print(one.reason.tolist())
"""


def test_it_compiles_in_one_piece():
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[")


def test_strangers_of_a_batch_are_called_with_few_false_discoveries(digits_guard, fresh_digits):
    noise = torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = torch.cat([fresh_digits.inputs, noise, torch.full((3, 1, 8, 8), torch.nan)])
    called = digits_guard.strangers(batch, 0.2)
    assert called[-3:].all()
    assert not digits_guard.strangers(fresh_digits.inputs, 0.001).any()
    p = digits_guard(batch).p_value[:-3]
    ordered = p.sort().values
    line = 0.2 * torch.arange(1, len(p) + 1) / len(p)
    most = int((ordered <= line).nonzero()[-1]) + 1 if (ordered <= line).any() else 0
    assert int(called[:-3].sum()) == most


ODD = [torch.nan, torch.inf, -torch.inf, 3e38, -3e38, -1.0, -1e-7, 0.0, 0.5, 1.0, 1.0 + 1e-7, 2.0]


@pytest.mark.parametrize("low", [None, -torch.inf, 0.0, -1.0])
@pytest.mark.parametrize("high", [None, torch.inf, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8])
def test_the_contract_of_a_number(digits_guard, low, high, dtype):
    """The twin in Python: a number, and within the range but for rounding."""
    odd = ODD if dtype.is_floating_point else [0, 1, 2, 200]
    facts = replace(digits_guard.facts, domain=Domain((len(odd),), dtype, low, high))
    expected = [
        math.isfinite(x) and (low is None or x >= low - 1e-6) and (high is None or x <= high + 1e-6)
        for x in odd
    ]
    assert within(torch.tensor([odd], dtype=dtype), facts).tolist() == [expected]
