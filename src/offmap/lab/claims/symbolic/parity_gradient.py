"""The gradients that all parities send into a network are the same, but for one in 2^n."""

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.functional import mse_loss

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.parities import all_strings
from offmap.models.mlp import MLP


@claim(
    says="Over all 2^n parities, the gradient of a network's squared error has the variance "
    "4 (2^-n E|g|^2 - 4^-n |g(1)|^2), with g its slope in the weights: which parity it is, is not "
    "to be seen in the gradient.",
    effect="Relative departure from that law, every parity and every string enumerated; the "
    "largest over n.",
    below=1e-9,
    scales={
        "smoke": {"places": (2, 4, 6, 7), "width": 8},
        "desk": {"places": (2, 4, 6, 8, 10), "width": 16},
        "full": {"places": (2, 4, 6, 8, 10, 12), "width": 16},
    },
    seconds={"smoke": 0.02, "desk": 1.4, "full": 100},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
)
def parity_gradient(*, places: tuple[int, ...], width: int, generator: torch.Generator) -> Trial:
    r"""A ReLU network with one hidden layer and Gaussian weights, in float64.

    The gradient of :math:`E (f - \chi_S)^2` depends on the set S through
    :math:`-2 E \chi_S g`, a coefficient of g in an orthonormal basis. Parseval's identity sums
    their squares; their mean is what g is at the string of ones, where all parities are one. The
    paper bounds the variance by :math:`E |g|^2` over the number of orthogonal targets.

    Args:
        places: Of the strings.
        width: Of the hidden layer.
        generator: Source of the weights.
    """
    found = [_variances(n, width, generator) for n in places]
    figure = Curve(
        "What a gradient tells of the parity", "places",
        "variance over parities / mean squared slope", torch.tensor(places, dtype=torch.double),
        {
            "enumerated": torch.tensor([seen / slope for seen, _, slope in found]),
            "law": torch.tensor([law / slope for _, law, slope in found]),
        },
        log_y=True,
    )  # fmt: skip
    return Trial(
        effect=max(abs(seen - law) / law for seen, law, _ in found),
        parts={
            f"variance / mean squared slope, n = {n}": seen / slope
            for n, (seen, _, slope) in zip(places, found, strict=True)
        },
        figures=(figure,),
    )


def _variances(places: int, width: int, generator: torch.Generator) -> tuple[float, float, float]:
    """Variance of the gradient over parities as enumerated and by the law; mean squared slope."""
    with torch.random.fork_rng(devices=[]):  # what it is born with is replaced
        net = MLP(places, (width,), 1).double()
    weights = {
        name: torch.randn(w.shape, generator=generator, dtype=torch.double)
        for name, w in net.named_parameters()
    }
    x = all_strings(places).double()
    sets = (1 - x) / 2
    parities = 1 - 2 * (sets @ sets.T % 2)  # [set, string]

    def answer(weights: dict[str, Tensor], rows: Tensor) -> Tensor:
        return functional_call(net, weights, (rows,))[:, 0]

    def loss(weights: dict[str, Tensor], targets: Tensor) -> Tensor:
        return mse_loss(answer(weights, x), targets)

    by_set = flat(vmap(grad(loss), in_dims=(None, 0), chunk_size=256)(weights, parities))
    by_string = flat(
        vmap(grad(lambda w, row: answer(w, row[None])[0]), in_dims=(None, 0))(weights, x)
    )
    slope = by_string.square().sum(dim=1).mean()
    seen = (by_set - by_set.mean(dim=0)).square().sum(dim=1).mean()
    law = 4 * (slope / 2**places - by_string[0].square().sum() / 4**places)
    return seen.item(), law.item(), slope.item()


def flat(gradients: dict[str, Tensor]) -> Float64[Tensor, "m p"]:
    """The gradients in all weights as rows."""
    return torch.cat([part.flatten(1) for part in gradients.values()], dim=1)
