"""What flipped labels cost a lookup: the law by enumeration, flips, and independent queries."""

from itertools import product

import pytest
import torch

from offmap.lab.claims.manifold import nearest_label_noise as module
from offmap.lab.claims.manifold.nearest_label_noise import Case, apart, flipped, price
from offmap.lab.run import find
from offmap.lab.worlds import Pieces


def test_the_verdict():
    assert find(["nearest_label_noise"], scale="smoke")[0].verdict == "supported"


@pytest.mark.parametrize("case", module.CASES)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.35])
def test_the_price_is_what_enumeration_gives(case, p):
    """Over all flips of the k neighbors and of the query, truth being class 0."""
    chance = [1 - p] + [p / (case.classes - 1)] * (case.classes - 1)
    total = 0.0
    for votes in product(range(case.classes), repeat=case.k):
        voted = max(set(votes), key=votes.count)
        for asked in range(case.classes) if case.noisy_test else (0,):
            weight = chance[asked] if case.noisy_test else 1.0
            for vote in votes:
                weight *= chance[vote]
            total += weight * (voted != asked)
    assert price(p, case) == pytest.approx(total)


@pytest.mark.parametrize("classes", [2, 10])
def test_flips_are_as_many_as_asked_and_go_anywhere(classes, generator):
    labels = torch.arange(20000) % classes
    found = flipped(labels, classes, 0.3, generator)
    share = (found != labels).double().mean().item()
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / 20000) ** 0.5
    turns = (found - labels).remainder(classes).bincount(minlength=classes)[1:].double()
    assert bool(((turns / turns.mean() - 1).abs() < 4 * turns.mean() ** -0.5).all())
    assert torch.equal(flipped(labels, classes, 0.0, generator), labels)


def test_kept_queries_share_no_neighbor(generator):
    index = torch.randint(60, (200, 3), generator=generator)
    kept = apart(index)
    used = [set(row) for row in index[kept].tolist()]
    assert len(set().union(*used)) == sum(map(len, used))
    for row in set(range(200)) - set(kept.tolist()):
        before = index[kept[kept < row]].flatten().tolist()
        assert set(before) & set(index[row].tolist())


def test_the_claim_fails_where_classes_touch(generator, monkeypatch):
    """The control: errors at the border are none of the flips' doing."""

    def touching(n, dimension, count, *, generator):
        points = torch.rand(n, dimension, generator=generator, dtype=torch.double)
        return Pieces(points, torch.randint(count, (n,), generator=generator))

    monkeypatch.setattr(module, "pieces", touching)
    trial = module.nearest_label_noise(n=1000, noises=(0.1, 0.2), generator=generator)
    assert trial.effect > 4
    assert trial.parts[f"errors without flips, {Case(2, 1, True).name}"] > 0.3
