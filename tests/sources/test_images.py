"""Bytes become numbers in [0, 1] and channels go first, here and nowhere else."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from offmap.attempt import InputError
from offmap.sources.images import PixelTable, as_inputs, decode, pixels
from offmap.table import TensorTable


def table(*shape, kind=torch.uint8, seed=0):
    values = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))
    return TensorTable(values.to(kind))


@pytest.mark.parametrize(
    ("stored", "served"),
    [
        ((5, 8, 9), (1, 8, 9)),
        ((5, 8, 9, 3), (3, 8, 9)),
        ((5, 8, 9, 1), (1, 8, 9)),
        ((5, 8, 9, 4), (4, 8, 9)),
        ((5, 3, 8, 9), (3, 8, 9)),
        ((5, 1, 8, 9), (1, 8, 9)),
        ((5, 4, 4, 1), (1, 4, 4)),
        ((5, 7), (7,)),
        ((5, 2, 8, 9), (2, 8, 9)),
    ],
)
def test_shapes(stored, served):
    raw = table(*stored)
    images = PixelTable(raw)
    assert images.shape == served
    assert images.read(0, 5).shape == (5, *served)
    assert images.dtype == images.read(0, 5).dtype == torch.float32
    assert images.read(0, 5).is_contiguous()
    assert len(images) == 5


def test_every_pixel_goes_to_its_place():
    raw = table(4, 5, 6, 3)
    served = PixelTable(raw).read(0, 4)
    for n, c, h, w in [(0, 0, 0, 0), (1, 2, 3, 4), (3, 1, 4, 5)]:
        assert served[n, c, h, w].item() == np.float32(raw.values[n, h, w, c].item()) / np.float32(
            255
        )
    gray = table(4, 5, 6)
    assert torch.equal(PixelTable(gray).read(0, 4)[:, 0] * 255, gray.values.float())


def test_rows_are_taken_in_order_and_the_bytes_stay():
    raw = table(6, 4, 4, 3)
    before = raw.values.clone()
    images = PixelTable(raw)
    rows = torch.tensor([5, 0, 0])
    assert torch.equal(images.take(rows), images.read(0, 6)[rows])
    flat = PixelTable(table(6, 4))
    flat.read(0, 3).zero_()
    assert torch.equal(raw.values, before)
    assert torch.equal(flat.pixels.values, table(6, 4).values)


def test_memory_holds_bytes_and_the_budget_counts_floats():
    images = PixelTable(table(6, 4, 4))
    assert images.pixels.nbytes == 6 * 16
    assert images.nbytes == 4 * 6 * 16


def test_only_bytes_are_pixels():
    floats = TensorTable(torch.rand(3, 8, 8, 3))
    assert as_inputs(floats) is floats
    with pytest.raises(ValueError, match=r"expected rows of uint8, got torch.float32"):
        PixelTable(floats)


def test_tokens_are_never_pixels():
    served = as_inputs(table(3, 8), "tokens")
    assert served.dtype == served.read(0, 3).dtype == torch.int64
    assert torch.equal(served.take(torch.tensor([2, 1])), table(3, 8).values.long()[[2, 1]])
    assert served.take(torch.tensor([2])).dtype == torch.int64
    assert served.read(1, 2).tolist() == table(3, 8).values[1:2].tolist()
    whole = TensorTable(torch.ones(2, 3, dtype=torch.int64))
    assert as_inputs(whole, "tokens") is whole
    with pytest.raises(InputError, match=r"expected whole numbers as tokens, got torch.float32"):
        as_inputs(TensorTable(torch.rand(2, 3)), "tokens")


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("1", 1),
                                                ("CMYK", 3), ("P", 3)])  # fmt: skip
def test_modes_of_images(mode, channels):
    image = Image.fromarray(table(6, 5, 3).values.numpy()).convert(mode)
    got = pixels(image, "here")
    assert got.dtype == np.uint8
    assert got.shape == (6, 5, channels)
    if mode in ("L", "RGB", "RGBA"):
        assert np.array_equal(got.reshape(np.asarray(image).shape), np.asarray(image))


def test_images_are_decoded_without_loss():
    raw = table(6, 5, 3).values.numpy()
    file = BytesIO()
    Image.fromarray(raw).save(file, "PNG")
    assert np.array_equal(decode(file.getvalue(), "here"), raw)


def test_broken_and_deep_images_are_refused():
    file = BytesIO()
    Image.fromarray(table(60, 50, 3).values.numpy()).save(file, "PNG")
    for bad in (b"", b"no image", file.getvalue()[:40], file.getvalue()[:-100]):
        with pytest.raises(InputError, match="file 7 cannot be read"):
            decode(bad, "file 7")
    deep = Image.fromarray(np.full((4, 4), 60_000, np.uint16))
    with pytest.raises(InputError, match="file 7: expected an image of 8 bits a channel"):
        pixels(deep, "file 7")
