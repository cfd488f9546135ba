"""Claims made for tests, found as if they were installed."""

from collections.abc import Callable

import pytest

from offmap.lab.claim import SCALES, Claim, Paper, Trial, claim, claims

PAPER = Paper("Somebody 2020", "https://example.org")


def made(effects: Callable[[int], float] | list[float], **changes) -> Claim:
    """A claim whose trials give these effects, one after another."""
    given = {
        "says": "It is so.", "effect": "a number", "paper": PAPER, "above": 0.0,
        "scales": {scale: {"size": 3} for scale in SCALES},
        "seconds": dict.fromkeys(SCALES, 0.1),
    }  # fmt: skip
    calls = []

    def toy(*, size: int, generator) -> Trial:
        """Counts."""
        calls.append(generator.initial_seed())
        value = effects(len(calls)) if callable(effects) else effects[len(calls) - 1]
        return Trial(value, parts={"size": size, "twice": 2 * value})

    toy.__module__ = "offmap.lab.claims.capacity.toy"
    return claim(**(given | changes))(toy)


@pytest.fixture
def offered(monkeypatch) -> Callable[[Claim], Claim]:
    """Makes a claim known by its name, for one test."""
    known: dict[str, Claim] = {}

    def offer(unit: Claim) -> Claim:
        known[unit.name] = unit
        return unit

    monkeypatch.setattr("offmap.lab.run.claims", lambda: {**claims(), **known})
    monkeypatch.setattr("offmap.lab.fingerprint.code", lambda module: "code")
    return offer
