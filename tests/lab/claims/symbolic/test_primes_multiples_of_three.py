import torch

from offmap.lab.claims.symbolic.prime_numbers import gap_closed, multiples_area, primes_below
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["primes_multiples_of_three"], scale="smoke")[0]
    assert finding.verdict == "supported"
    for factor in (7, 11):  # the controls: the score does not see these
        assert finding.parts[f"multiples of {factor}"].high < 0.6


def test_areas_of_scores_that_know_one_thing():
    numbers, prime = torch.arange(3000), primes_below(3000)
    knows = (numbers % 3 > 0).double()
    assert multiples_area(knows, numbers, prime, 3) == 1
    blind = torch.zeros(3000)
    assert multiples_area(blind, numbers, prime, 3) == 0.5
    # Of what is not prime, another factor must divide what 3 does not: below a half for those.
    assert 0.35 < multiples_area(knows, numbers, prime, 7) < 0.5
    assert multiples_area(-knows, numbers, prime, 3) == 0


def test_the_gap_runs_from_the_last_place_to_the_truth():
    numbers, prime = torch.arange(3000), primes_below(3000)
    assert gap_closed((numbers % 2).double(), numbers, prime) == 0
    assert gap_closed(prime.double(), numbers, prime) == 1
    assert gap_closed(torch.zeros(3000), numbers, prime) < 0
