from itertools import product
from math import prod

import numpy as np
import pytest
import torch

from offmap.lab.claim import claims
from offmap.lab.claims.symbolic.parities import eliminated
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["parity_elimination"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["share found at n + 10"].low > 0.98


def test_elimination_agrees_with_trying_all_sets(generator):
    strings = torch.randint(2, (200, 4, 3), generator=generator)
    answers = torch.randint(2, (200, 4), generator=generator)
    for rows, wanted, found, unique in zip(
        strings, answers, *eliminated(strings, answers), strict=True
    ):
        solutions = [
            of for of in product((0, 1), repeat=3)
            if torch.equal(rows @ torch.tensor(of) % 2, wanted)
        ]  # fmt: skip
        independent = len({tuple((rows @ torch.tensor(of) % 2).tolist())
                           for of in product((0, 1), repeat=3)}) == 8  # fmt: skip
        assert bool(unique) == independent
        if independent and solutions:
            assert tuple(found.tolist()) == solutions[0]


def test_the_law_is_the_count_of_small_matrices():
    """All 2^6 matrices of 3 rows and 2 columns over GF(2): those of rank 2."""
    full = sum(
        len({tuple(np.array(rows).reshape(3, 2) @ of % 2) for of in product((0, 1), repeat=2)}) == 4
        for rows in product((0, 1), repeat=6)
    )
    assert full / 2**6 == prod(1 - 2.0 ** (i - 3) for i in range(2))


def test_fewer_strings_than_places_are_refused():
    with pytest.raises(ValueError, match="at least 5 strings"):
        eliminated(torch.zeros(2, 3, 5).long(), torch.zeros(2, 3).long())


def test_answers_with_errors_are_not_solved(generator):
    """The control: noise is what elimination cannot bear, and the share falls off the law."""
    strings = torch.randint(2, (300, 24, 8), generator=generator)
    wanted = torch.randint(2, (300, 8), generator=generator)
    answers = (strings * wanted[:, None]).sum(dim=2) % 2
    clean = eliminated(strings, answers)[0]
    answers[:, 0] = 1 - answers[:, 0]
    wrong = eliminated(strings, answers)[0]
    assert (clean == wanted).all() and (wrong != wanted).any(dim=1).double().mean() > 0.3
    assert claims()["parity_elimination"].below == 4
