"""The card says what is promised, what is not, and gives every number with its interval."""

import json
import re
from dataclasses import replace

import pytest
import torch

from offmap.estimate import proportion
from offmap.guard.attack import AttackResult
from offmap.guard.card import LIMITS, card
from offmap.guard.coverage import Covered, judged
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.numerics.selective import coverage_by_group

from . import worlds


def rows(text, heading):
    """The rows of the table under a heading, cell by cell."""
    part = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_it_says_what_is_promised(digits_guard):
    text = card(digits_guard)
    facts = digits_guard.facts
    assert text.startswith("# Guard of digits\n")
    assert "at most 10% are refused as off the map, on average over calibration sets" in text
    assert f"{facts.promise:.2%}" in text
    assert "At most 5% of familiar inputs are called disputed" in text
    assert "Of accepted answers at most 10% are wrong, with certainty 95%" in text
    assert f"{facts.accepted_share:.1%} of all were accepted" in text


def test_promises_that_were_not_made_are_not_there(generator):
    train, calibration = worlds.drawn(60, generator), worlds.drawn(200, generator)
    guard = fit_guard(
        worlds.network(), train, calibration, score="energy", confidence=0.9, per_class=True
    )
    text = card(guard)
    assert "Of familiar inputs of each predicted class, at most 5% are refused" in text
    assert "for this calibration set, with certainty 90%" in text
    assert "disputed" not in text
    assert "with certainty 95%" not in text
    assert "uncertain" not in text


def test_it_says_what_is_not_promised(digits_guard):
    text = card(digits_guard)
    assert all(f"- {limit}\n" in text for limit in LIMITS)
    assert "calibration data came from" in text
    assert "`offmap guard attack`" in text


def test_it_says_how_it_decides_and_of_what_it_is_made(digits_guard):
    text = card(digits_guard)
    reasons = rows(text, "How it decides")
    assert ["off\\_map", "p-value up to 0.1"] in reasons
    assert ["uncertain", "log-probability of the class up to -0.05"] in reasons
    assert ["contract", "shape (1, 8, 8), torch.float32, finite, from 0 to 1"] in reasons
    settings = json.dumps(dict(digits_guard.facts.scores["feature_neighbors"]))
    assert ["feature\\_neighbors", settings] in [[row[0], row[-1]] for row in reasons]
    made = dict(rows(text, "What it was made of"))
    assert made["calibration examples"] == str(digits_guard.facts.counts["calibration"])
    assert made["hash of weights"] == digits_guard.facts.fingerprints["weights"]
    assert made["train examples"] == "1,200"


def test_strangers_stand_there_with_intervals_and_the_worst_is_named(digits_guard):
    found = {
        "noise": Covered(proportion(99, 100), "far", True),
        "fakes": Covered(proportion(20, 100), "near", True),
        "haze": Covered(proportion(1, 100), "near", False),
    }
    text = card(digits_guard, coverage=found)
    table = rows(text, "What it does to strangers")
    assert ["fakes", "near", "yes", f"{proportion(20, 100):.1%}"] in table
    assert ["haze", "near", "may pass", f"{proportion(1, 100):.1%}"] in table
    assert f"Least of all it refuses fakes: {proportion(20, 100):.1%}." in text


def test_groups_stand_there_with_intervals(digits_guard, fresh_digits):
    accepted, error = judged(digits_guard, fresh_digits)
    found = coverage_by_group(accepted, error, fresh_digits.groups)
    table = rows(card(digits_guard, groups=found), "What refusing does to each group")[2:]
    assert len(table) == 3
    for row, (_, count, wrong, kept, left) in zip(
        table, zip(*(part.tolist() for part in found), strict=True), strict=True
    ):
        shares = proportion(kept, count), proportion(wrong, count), proportion(left, kept)
        assert row[1:] == [str(count), *(f"{share:.1%}" for share in shares)]


def test_a_group_of_which_none_is_accepted_says_so(digits_guard):
    none = torch.zeros(4, dtype=torch.bool)
    found = coverage_by_group(none, none, torch.zeros(4, dtype=torch.long))
    assert rows(card(digits_guard, groups=found), "What refusing does to each group")[2][-1] == (
        "none accepted"
    )


def test_an_attack_stands_there_with_both_attackers(digits_guard):
    shares = [proportion(k, 50) for k in (1, 5, 40, 10, 35)]
    untouched, alarms, bare, oblivious, adaptive = shares
    found = AttackResult(
        radius=0.1, norm="linf", untouched=untouched, false_alarms=alarms, bare=bare,
        oblivious=oblivious, caught=None, adaptive=adaptive, inputs=torch.zeros(50, 1, 8, 8),
        columns={}, notes=("few steps",),
    )  # fmt: skip
    table = dict(rows(card(digits_guard, attack=found), "What an attacker achieves")[2:])
    assert table["wrong and accepted, attacker does not know of the guard"] == f"{oblivious:.1%}"
    assert table["wrong and accepted, attacker knows the guard"] == f"{adaptive:.1%}"
    assert "refused, of what that attacker makes wrong" not in table


def test_sections_without_evidence_are_left_out(digits_guard):
    text = card(digits_guard)
    for title in ("strangers", "group", "attacker"):
        assert not re.search(rf"^## .*{title}", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["a|b", "*bold*", "<script>", "[a](http://b)", "line\nline"])
def test_names_cannot_break_the_page(name, digits_guard):
    facts = replace(digits_guard.facts, name=name, class_names=(name,) * 10)
    guard = Guard(digits_guard.sight, digits_guard.ruler, facts, digits_guard.atlas)
    text = card(guard)
    assert not re.search(r"(?<!\\)(<script|\]\(h|\*bold)", text)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert len(heads) == 5
    table = [line for line in text.splitlines() if line.startswith("| classes")]
    assert len(re.findall(r"(?<!\\)\|", table[0])) == 3
