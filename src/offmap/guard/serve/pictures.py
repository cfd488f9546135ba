"""Training pictures as data URLs, for a page that loads nothing from elsewhere."""

import base64
import io

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor


def data_url(pixels: UInt8[Tensor, "..."]) -> str:
    """An image [c, h, w] or [h, w] as a PNG; of other than 3 or 4 channels the first is shown."""
    pixels = pixels.cpu()
    if pixels.ndim == 3:
        shown = len(pixels) in (3, 4)
        pixels = pixels.permute(1, 2, 0).contiguous() if shown else pixels[0]
    file = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
