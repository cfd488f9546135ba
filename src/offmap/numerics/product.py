"""Matrix products at the speed of the machine, and whether float32 ones keep their promise."""

import os

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["add_product", "exact_float32"]


def add_product(
    total: Float[Tensor, "..."], queries: Float[Tensor, "q d"], rows: Float[Tensor, "r d"]
) -> Float[Tensor, "q r"]:
    """Adds queries @ rows.T to the total, by oneDNN if it may be: MKL is half as fast on AMD.

    PyTorch hands oneDNN float32 only as convolutions, and for one thread only if of 16 images.

    Args:
        total: of shape [r] or [q, r]; the latter is overwritten.
        queries: fastest if a multiple of 16.
        rows: of the same type and on the same device.
    """
    onednn = torch.backends.mkldnn.is_available() and rows.device.type == "cpu"
    if not onednn or rows.dtype != torch.float32:
        return torch.addmm(total, queries, rows.T)
    images = 16 if len(queries) % 16 == 0 else len(queries)
    pixels = queries.view(images, -1, 1, rows.shape[1]).permute(0, 3, 1, 2)
    bias = total if total.dim() == 1 else None
    product = torch.conv2d(pixels, rows[:, None, None].permute(0, 3, 1, 2), bias)
    product = product.permute(0, 2, 3, 1).reshape(len(queries), len(rows))
    return product if bias is not None else product.add_(total)


def exact_float32(device: torch.device) -> bool:
    """Whether products of float32 come in float32: no one has asked for TF32 or bfloat16."""
    cpu = device.type == "cpu"
    backend = torch.backends.mkldnn if cpu else torch.backends.cuda
    places = (torch.backends, backend, getattr(backend, "conv" if cpu else "matmul", None))
    chosen = {getattr(place, "fp32_precision", None) for place in places}
    if chosen == {None}:  # torch before 2.9
        chosen = {torch.get_float32_matmul_precision()}
    asked = any("DEFAULT_FPMATH_MODE" in name for name in os.environ)  # read by oneDNN
    return not asked and chosen <= {None, "none", "ieee", "highest"}
