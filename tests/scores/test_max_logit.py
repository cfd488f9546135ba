import torch

from offmap.score import Seen
from offmap.scores.max_logit import max_logit


def test_is_minus_the_largest(answering, fit):
    logits = torch.tensor([[1.0, 3.0, -2.0], [-5.0, -4.0, -7.0]])
    score = fit(max_logit, answering(logits))
    assert score(Seen(logits, logits)).tolist() == [-3.0, 4.0]
    assert score(Seen(logits, logits.flip(1))).tolist() == [-3.0, 4.0]
    assert score(Seen(logits, logits + 8)).tolist() == [-11.0, -4.0]


def test_less_evidence_is_stranger(answering, fit):
    sure, unsure = torch.tensor([[9.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    score = fit(max_logit, answering(sure))
    assert score(Seen(unsure, unsure)) > score(Seen(sure, sure))
