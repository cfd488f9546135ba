"""What a camera adds to one printed number is counted right: shift, angle, light."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.dimensions_read import looked_up
from offmap.lab.worlds import printed_digits
from offmap.numerics.dimension import maximum_likelihood

FREEDOMS = ("shift across", "shift along", "angle", "brightness", "size")
REACH = torch.tensor([0.12, 0.12, 0.2, 0.15, 0.08], dtype=torch.double)  # of each, to either side


@claim(
    says="Photographs of one printed number, in which 1 to 5 things vary freely (two shifts, "
    "angle, brightness, size), lie on 1 to 5 dimensions, within 0.7.",
    effect="largest |dimension - things that vary|, by maximum likelihood from 10 neighbors",
    below=0.7,
    scales={
        "smoke": {"n": 600, "zoom": 2},
        "desk": {"n": 2500, "zoom": 2},
        "full": {"n": 20000, "zoom": 3},
    },
    seconds={"smoke": 0.4, "desk": 3.0, "full": 100.0},
    paper=Paper("Pope et al. 2021", "https://arxiv.org/abs/2104.08894"),
)
def photographed_number_dimension(*, n: int, zoom: int, generator: torch.Generator) -> Trial:
    """The number 407, smoothed and seen through a camera whose freedoms are drawn evenly.

    A picture is a smooth function of its freedoms, one to one in their range, so their number is
    the dimension. The smallest shifts are a fraction of a pixel: between pixels the camera
    interpolates.
    """
    page = _page(zoom)
    found = []
    for count in range(1, len(FREEDOMS) + 1):
        draws = 2 * torch.rand(n, len(FREEDOMS), generator=generator, dtype=torch.double) - 1
        draws[:, count:] = 0
        pictures = photograph(page, REACH * draws)
        found.append(maximum_likelihood(looked_up(pictures.flatten(1), queries=n), k=10).value)
    truth = torch.arange(1, len(FREEDOMS) + 1).double()
    read = torch.tensor(found).double()
    figure = Curve(
        "Dimension of photographs", "things that vary", "dimension", truth,
        {"read": read, "truth": truth},
    )  # fmt: skip
    parts = {
        f"{i + 1}: {FREEDOMS[i]} too" if i else f"1: {FREEDOMS[0]}": found[i] for i in range(5)
    }
    return Trial((read - truth).abs().max().item(), parts, (figure,))


def _page(zoom: int) -> Float[Tensor, "h w"]:
    """The number on white paper, its edges soft: what is not smooth in shifts has no dimension."""
    print_ = printed_digits(torch.tensor([407]), 3, zoom=zoom)[0, :, :-zoom]
    print_ = nn.functional.pad(print_, (2 * zoom,) * 4)
    reach = torch.arange(-3 * zoom, 3 * zoom + 1).double()
    bell = torch.exp(-(reach**2) / (2 * zoom**2))
    bell = bell / bell.sum()
    picture = nn.functional.pad(print_[None, None], (3 * zoom,) * 4)
    across = nn.functional.conv2d(picture, bell.view(1, 1, 1, -1))
    return nn.functional.conv2d(across, bell.view(1, 1, -1, 1))[0, 0]


def photograph(
    page: Float[Tensor, "h w"], freedoms: Float[Tensor, "n 5"]
) -> Float[Tensor, "n h w"]:
    """Pictures of the page: shifted (in half pages), turned (radians), brighter, larger."""
    across, along, angle, brightness, size = freedoms.T
    scale = 1 + size
    rows = torch.stack([scale * angle.cos(), -scale * angle.sin(), across], dim=1)
    columns = torch.stack([scale * angle.sin(), scale * angle.cos(), along], dim=1)
    shape = (len(freedoms), 1, *page.shape)
    grid = nn.functional.affine_grid(
        torch.stack([rows, columns], dim=1), list(shape), align_corners=False
    )
    seen = nn.functional.grid_sample(
        page.expand(shape), grid, mode="bicubic", padding_mode="zeros", align_corners=False
    )
    return seen[:, 0] * (1 + brightness)[:, None, None]
