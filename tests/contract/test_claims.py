"""Every claim that is found keeps every law, and its committed finding is of what it says now."""

import json
from pathlib import Path

import pytest

from offmap.codec import encode
from offmap.lab.claim import ROOMS, Claim, Paper, Trial, claim, claims
from offmap.lab.finding import from_json
from offmap.lab.keep import kept
from offmap.lab.page import markdown
from offmap.testing import check_claim

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "desk"
EACH = {"smoke": {}, "desk": {}, "full": {}}


@pytest.mark.parametrize("name", claims())
def test_keeps_the_laws(name):
    check_claim(claims()[name])


def test_every_room_has_claims():
    assert {unit.room for unit in claims().values()} == set(ROOMS)


@pytest.fixture(scope="module")
def findings():
    return {found.statement.name: found for found in kept(RESULTS)}


def test_every_claim_has_a_finding_and_no_finding_is_left_over(findings):
    assert findings.keys() == claims().keys()


@pytest.mark.parametrize("name", claims())
def test_the_committed_finding_is_of_this_claim(findings, name):
    found, unit = findings[name], claims()[name]
    assert found.statement == unit.statement
    assert found.parameters == from_json(json.loads(json.dumps(encode(unit.scales["desk"]))))
    assert len(found.trials) >= 5
    assert found.verdict != "none"
    assert found.provenance["commit"]
    assert found.provenance["machine"]


def test_the_committed_table_is_of_the_committed_findings(findings):
    text = (RESULTS / "what_holds.md").read_text(encoding="utf-8")
    assert text == markdown(list(findings.values()))


def broken(function=None, **changes) -> Claim:
    """A claim with something wrong."""

    def a_claim(*, generator) -> Trial:
        """A protocol."""
        return Trial(1.0)

    function = function or a_claim
    function.__module__ = "offmap.lab.claims.capacity.a_claim"
    given = {
        "says": "It is so.", "effect": "a number", "above": 0.0, "scales": EACH,
        "seconds": {"smoke": 0.1, "desk": 1.0, "full": 2.0},
        "paper": Paper("Nobody", "https://example.org"),
    }  # fmt: skip
    return claim(**(given | changes))(function)


def random_claim(*, generator) -> Trial:
    """Draws from the global state."""
    import torch

    return Trial(torch.rand(()).item())


def heavy_claim(*, generator) -> Trial:
    """Draws too much."""
    import torch

    from offmap.figures import Curve

    x = torch.arange(9000.0)
    return Trial(1.0, figures=(Curve("Line", "x", "y", x, {"": x}),))


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (broken(random_claim), "expected a file of its name, got a_claim"),
        (broken(says="it is"), "expected a sentence"),
        (broken(effect=""), "told in `effect`"),
        (broken(paper=Paper("Nobody", "http://example.org")), "https reference"),
        (broken(seconds={"smoke": 2.0, "desk": 1.0, "full": 3.0}), "seconds that grow"),
        (broken(seconds={"smoke": 9.0, "desk": 9.0, "full": 9.0}), "at most 3 seconds at smoke"),
        (broken(random_claim), "leave torch's random state alone"),
        (broken(random_claim), "the same seed to give the same effect"),
        (broken(heavy_claim), "figures of at most 60,000 bytes"),
    ],
)
def test_a_claim_that_breaks_a_law_is_told(unit, said):
    with pytest.raises(AssertionError, match=said):
        check_claim(unit)
