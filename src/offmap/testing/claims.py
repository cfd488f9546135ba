"""The laws that every claim of the laboratory obeys."""

import json
from collections.abc import Iterator
from math import isclose, nan
from typing import Any

from offmap.codec import decode, encode
from offmap.lab.claim import ROOMS, SCALES, Claim, Trial
from offmap.lab.finding import KNOWN
from offmap.report.formula import paragraphs
from offmap.seeds import derive
from offmap.testing.watching import global_randomness, shared_state

MOST_BYTES = 60_000  # of the figures of one trial: they are kept, drawn and put into the docs
LONGEST = 3.0  # seconds that a trial at smoke scale may be said to take


def check_claim(claim: Claim) -> None:
    """Put a claim through every law; it is run twice at smoke scale.

    Args:
        claim: Installed or not; its file lies in a folder named after a room.

    Raises:
        AssertionError: If it breaks a law; the message lists what is wrong.
    """
    wrong = [*_says_what_it_is(claim), *_costs_what_scales_do(claim), *_runs(claim)]
    if wrong:
        raise AssertionError(f"{claim.name}:\n" + "\n".join(f"  - {text}" for text in wrong))


def _says_what_it_is(claim: Claim) -> Iterator[str]:
    """Everything is said that a reader must know."""
    if claim.room not in ROOMS:
        yield f"expected its file in a folder of {', '.join(ROOMS)}, got {claim.room}"
    file = claim.function.__module__.rpartition(".")[2]
    if file != claim.name:
        yield f"expected a file of its name, got {file}"
    if not claim.says.endswith(".") or not claim.says[:1].isupper():
        yield f"expected a sentence in `says`, got {claim.says!r}"
    if not claim.effect:
        yield "expected to be told in `effect` what the number is"
    if not claim.paper.url.startswith("https://"):
        yield f"expected an https reference, got {claim.paper.url!r}"
    if not claim.statement.protocol:
        yield "expected a docstring that says how it is tried"
    paragraphs(claim.statement.protocol)  # refuses formulas that no page can show


def _costs_what_scales_do(claim: Claim) -> Iterator[str]:
    """A larger scale takes longer, and smoke takes seconds and needs no data."""
    times = [claim.seconds[scale] for scale in SCALES]
    if not 0 < times[0] <= times[1] <= times[2]:
        yield f"expected seconds that grow with the scale, got {times}"
    if times[0] > LONGEST:
        yield f"expected at most {LONGEST:g} seconds at smoke scale, got {times[0]}"
    if claim.data.get("smoke"):
        yield f"expected no public data at smoke scale, got {claim.data['smoke']}"


def _runs(claim: Claim) -> Iterator[str]:
    """The same seed gives the same trial, whatever else goes on, and nothing else is changed."""
    with global_randomness(1):
        before = shared_state()
        first = _trial(claim)
        changed = [name for name, value in shared_state().items() if value != before[name]]
    if changed:
        yield f"expected to leave {', '.join(changed)} alone"
    with global_randomness(2):
        again = _trial(claim)
    for name, value in {"effect": first.effect, **first.parts}.items():
        other = {"effect": again.effect, **again.parts}.get(name, nan)
        if not isclose(value, other, rel_tol=1e-6, abs_tol=1e-9):  # BLAS may sum in another order
            yield f"expected the same seed to give the same {name}, got {value}, {other}"
    said = json.dumps(encode(first), sort_keys=True)
    if json.dumps(encode(decode(json.loads(said), KNOWN)), sort_keys=True) != said:
        yield "expected the trial to come back from JSON as it was"
    size = len(json.dumps(encode(first.figures)))
    if size > MOST_BYTES:
        yield f"expected figures of at most {MOST_BYTES:,} bytes, got {size:,}"


def _trial(claim: Claim) -> Trial:
    given: dict[str, Any] = dict(claim.scales["smoke"])
    if claim.data:
        given["data"] = {}
    return claim(generator=derive(0, claim.name), **given)
