"""A small causal transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Attention(nn.Module):
    """Causal self-attention, written out: fused kernels have no second derivative on the CPU."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, inputs: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Each position as a mixture of itself and those before it."""
        n, t, d = inputs.shape
        split = self.query_key_value(inputs).view(n, t, 3, self.heads, d // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each [n, heads, t, d / heads]
        scores = query @ key.transpose(-2, -1) / (d // self.heads) ** 0.5
        later = torch.ones(t, t, dtype=torch.bool, device=inputs.device).triu(1)
        mixture = scores.masked_fill(later, float("-inf")).softmax(dim=-1) @ value
        return self.out(mixture.transpose(1, 2).reshape(n, t, d))


class Layer(nn.Module):
    """Attention and a perceptron, each normalized before and added after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.before_perceptron = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, inputs: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Same shape as the inputs."""
        mixed = inputs + self.attention(self.before_attention(inputs))
        return mixed + self.perceptron(self.before_perceptron(mixed))


class Transformer(nn.Module):
    """Scores of the next token at every position.

    Args:
        vocabulary: Number of tokens.
        length: Longest sequence.
        width: Numbers in the state of a position; a multiple of `heads`.
        heads: Attention heads.
        layers: Layers.

    Raises:
        ValueError: If `width` is no multiple of `heads`.
    """

    def __init__(
        self, vocabulary: int, length: int = 128, width: int = 64, heads: int = 4, layers: int = 2
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"expected width to be a multiple of heads, got {width} and {heads}")
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, inputs: Int[Tensor, "n t"]) -> Float[Tensor, "n t vocabulary"]:
        """Logits [n, t, vocabulary]; those at t depend on inputs up to t alone."""
        place = torch.arange(inputs.shape[1], device=inputs.device)
        return self.head(self.norm(self.layers(self.tokens(inputs) + self.positions(place))))
