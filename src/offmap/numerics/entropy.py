"""How much there is to say about a set of labels."""

from math import log

import torch
from jaxtyping import Int
from torch import Tensor


def label_bits(labels: Int[Tensor, "..."]) -> float:
    r"""Bits that one label carries for somebody who knows how frequent each of them is.

    .. math:: H = -\sum_k p_k \log_2 p_k, \qquad p_k \text{ the share of label } k

    Args:
        labels: Any number of integers, in any shape.

    Returns:
        Between 0 (all the same) and the logarithm of the number of different labels.
    """
    counts = torch.unique(labels, return_counts=True)[1].double()
    return torch.special.entr(counts / counts.sum()).sum().item() / log(2)
