import torch

from offmap.lab.claim import claims
from offmap.lab.claims.symbolic.prime_numbers import gap_closed, primes_below
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["primes_hash_table"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.parts["accuracy, network"].high < finding.parts['accuracy of "no"'].value
    assert claims()["primes_hash_table"].corrected == "primes_multiples_of_three"


def test_what_only_stores_is_on_the_claimed_side(generator):
    """The control: a table answers at random where it holds nothing, beyond the last place."""
    numbers, prime = torch.arange(2**14), primes_below(2**14)
    table = numbers % 2 + 0.5 * torch.rand(2**14, generator=generator)
    assert abs(gap_closed(table, numbers, prime)) < 0.1
