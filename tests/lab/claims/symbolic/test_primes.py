import torch

from offmap.lab.claims.symbolic.prime_numbers import Training, ask, primes_below, scores
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["primes"], scale="smoke")[0]
    assert finding.verdict == "inconclusive"  # five small trials do not decide
    assert finding.parts["remainder by 16, not shown"].low > 0.99  # the controls are learned
    assert finding.parts["upper third, not shown"].low > 0.99
    assert finding.parts["primes, shown"].low > 0.6  # what is shown is being stored


def test_the_sieve_finds_what_division_finds():
    prime = primes_below(500)
    for n in range(500):
        assert bool(prime[n]) == (n > 1 and all(n % q for q in range(2, n)))


def test_numbers_shown_and_held_are_all_numbers_and_differ_between_networks(generator):
    numbers = torch.arange(1, 101)
    first, second = ask(
        numbers, [numbers % 2 == 0] * 2, 7, Training((8,), 1e-2, 32, 1), generator=generator
    )
    assert len(first.shown) == 70
    assert sorted(torch.cat([first.shown, first.held]).tolist()) == list(range(100))
    assert not torch.equal(first.shown, second.shown)


def test_a_question_about_one_place_is_learned(generator):
    """The control of the line: a network that is asked what it can learn is far above it."""
    numbers = torch.arange(512)
    answer = numbers % 8 >= 4
    (asked,) = ask(numbers, [answer], 9, Training((16,), 1e-2, 32, 10), generator=generator)
    found = scores(asked.network, numbers[asked.held], 9) > 0
    assert (found == answer[asked.held]).double().mean() > 0.95
