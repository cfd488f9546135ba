"""A guard around a network that reads token numbers: features and logits alone can be strange."""

import pytest
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.guard.fit import fit_guard
from offmap.run import Split

WORDS, LENGTH = 20, 6


@pytest.fixture
def text(generator):
    """Sentences of two topics, with words of their own, and a network that has learned them."""
    topic = torch.randint(2, (400,), generator=generator)
    words = torch.randint(WORDS // 2, (400, LENGTH), generator=generator)
    inputs = words + topic[:, None] * (WORDS // 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.EmbeddingBag(WORDS, 8), nn.Tanh(), nn.Linear(8, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[:300]), topic[:300]).backward()
            optimizer.step()
    return model, Split(inputs[:300], topic[:300]), Split(inputs[300:], topic[300:])


def test_mixed_topics_are_strange(text, generator):
    model, train, fresh = text
    guard = fit_guard(model, train, fresh, score="max_softmax", alpha=0.1)
    assert guard.facts.domain.kind == "tokens"
    mixed = torch.cat([fresh.inputs[:50, :3] % 10, fresh.inputs[:50, 3:] % 10 + 10], dim=1)
    assert guard(mixed).accepted.double().mean() < 0.5
    answers = guard.answer([fresh.inputs[0], torch.full((LENGTH,), -1)])
    assert answers[0].neighbors and answers[1].reason == "contract"


def test_distances_of_token_numbers_are_refused(text):
    model, train, fresh = text
    with pytest.raises(InputError, match="token numbers have no distance"):
        fit_guard(model, train, fresh, score="input_neighbors")
