"""What a claim must say of itself, and how a verdict comes from its trials."""

import math

import pytest
import torch
from scipy import stats

from offmap.estimate import replicates
from offmap.lab.claim import SCALES, Trial, claim, claims
from offmap.lab.finding import Done, Finding, as_json, from_json
from offmap.reading import Failed

from .conftest import PAPER, made

EACH = {scale: {} for scale in SCALES}
TIMES = dict.fromkeys(SCALES, 1.0)


def finding(effects, failures=0, **changes):
    outcomes = [Trial(effect, {"twice": 2 * effect}) for effect in effects]
    outcomes += [Failed("Diverged: at step 3", "trace")] * failures
    trials = tuple(Done(seed, outcome, 0.1) for seed, outcome in enumerate(outcomes))
    unit = made([], **changes)
    return Finding(unit.statement, "smoke", unit.scales["smoke"], trials, {})


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"above": 0.5}, "supported"),
        ({"above": 0.9, "below": 1.1}, "inconclusive"),
        ({"above": 0.5, "below": 2.0}, "supported"),
        ({"above": None, "below": 0.5}, "refuted"),
        ({"above": 3.0}, "refuted"),
        ({"above": 1.0}, "inconclusive"),
        ({"above": -2.0, "below": -1.0}, "refuted"),
    ],
)
def test_the_verdict_is_where_the_whole_interval_lies(changes, verdict):
    found = finding([0.8, 1.0, 1.2, 1.1, 0.9], **changes)
    half = stats.t.ppf(0.975, 4) * math.sqrt(0.025 / 5)
    assert found.estimate.low == pytest.approx(1 - half)
    assert found.estimate.high == pytest.approx(1 + half)
    assert found.verdict == verdict
    assert bool(found.why) == (verdict == "inconclusive")


def test_the_verdict_errs_as_seldom_as_its_interval(generator):
    """The truth on the line: a wrong verdict on either side in 2.5 % of runs, 4 standard errors."""
    runs = 2000
    effects = torch.randn(runs, 5, generator=generator, dtype=torch.double)
    verdicts = [finding(row.tolist(), above=0.0).verdict for row in effects]
    for wrong in ("supported", "refuted"):
        share = verdicts.count(wrong) / runs
        assert abs(share - 0.025) < 4 * math.sqrt(0.025 * 0.975 / runs)


@pytest.mark.parametrize("effects", [[], [5.0]])
def test_one_seed_gives_no_verdict_and_says_so(effects):
    found = finding(effects)
    assert found.estimate is None
    assert found.verdict == "none"
    assert "give --seeds 2 or more" in found.why


def test_a_failed_trial_is_shown_and_nothing_is_concluded():
    found = finding([5.0, 5.1, 5.2], failures=1)
    assert found.verdict == "inconclusive"
    assert found.why == "1 of 4 trials failed, the first with seed 3: Diverged: at step 3"
    assert found.estimate.value == pytest.approx(5.1)


def test_parts_are_means_over_the_seeds():
    found = finding([1.0, 2.0, 3.0])
    assert found.parts["twice"] == replicates([2.0, 4.0, 6.0])
    assert finding([1.5]).parts == {"twice": 3.0}


def test_a_finding_comes_back_from_json():
    found = finding([1.0, 2.0], failures=1)
    again = from_json(as_json(found))
    assert again.estimate == found.estimate
    assert again.statement == found.statement
    assert again.verdict == found.verdict
    assert as_json(again) == as_json(found)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_trial_refuses_what_is_no_number(value):
    with pytest.raises(ValueError, match="expected a finite number for effect"):
        Trial(value)
    with pytest.raises(ValueError, match="expected a finite number for part"):
        Trial(1.0, {"part": value})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"above": None}, "expected a line to cross"),
        ({"above": 2.0, "below": 1.0}, "expected a line to cross"),
        ({"scales": {"smoke": {}}}, "expected parameters for smoke, desk, full"),
        ({"seconds": {"smoke": 1.0}}, "expected seconds for smoke, desk, full"),
        ({"scales": EACH | {"full": {"n": 3}}}, r"toy at scale full to have the parameters \[\]"),
        ({"data": {"desk": ("mnist",)}}, "with data where it reads some"),
    ],
)
def test_what_a_claim_must_say(changes, said):
    given = {
        "says": "",
        "effect": "",
        "scales": EACH,
        "seconds": TIMES,
        "paper": PAPER,
        "above": 0.0,
    }

    def toy(*, generator) -> Trial:
        """Nothing."""
        return Trial(0.0)

    with pytest.raises(TypeError, match=said):
        claim(**(given | changes))(toy)


def test_a_trial_needs_a_generator():
    with pytest.raises(TypeError, match="generator"):

        @claim(says="", effect="", scales=EACH, seconds=TIMES, paper=PAPER, above=0.0)
        def toy() -> Trial:
            """Nothing."""
            return Trial(0.0)


def test_corrections_are_claims_themselves():
    for unit in claims().values():
        assert not unit.corrected or unit.corrected in claims(), unit.name
        assert unit.corrected != unit.name
