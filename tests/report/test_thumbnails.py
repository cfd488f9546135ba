"""Thumbnails: the right pixels, and never too many."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from offmap.estimate import exact
from offmap.figures import Gallery
from offmap.reading import Reading
from offmap.report import thumbnails as module
from offmap.report.thumbnails import BUDGET, PICTURES, ROWS, thumbnails
from offmap.run import Domain, Split


def pixels(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def gallery(build, rows, columns=("test",), split="test"):
    figure = Gallery("g", columns, torch.as_tensor(rows), ("",) * len(rows))
    return build.entry("train_neighbor_distance", split, Reading(exact(0.0), figures=(figure,)))


def image(shape, low=0.0, high=1.0):
    return Domain(shape, torch.float32, low, high, "image")


def test_pixels_are_the_rows_scaled_from_the_domain(build):
    values = torch.tensor([[[-1.0, 1.0], [0.0, 3.0]]]).repeat(3, 1, 1, 1)  # 3 is out of range
    made = thumbnails({"test": Split(values)}, [gallery(build, [[2]])], image((1, 2, 2), -1.0, 1.0))
    assert list(made) == ["test"] and list(made["test"]) == ["2"]
    assert pixels(made["test"]["2"]).tolist() == [[0, 255], [128, 255]]


def test_colors_keep_their_channels(build):
    values = torch.zeros(2, 3, 4, 5)
    values[1, 0], values[1, 2] = 1.0, 0.2
    made = thumbnails({"test": Split(values)}, [gallery(build, [[1]])], image((3, 4, 5)))
    found = pixels(made["test"]["1"])
    assert found.shape == (4, 5, 3) and found[0, 0].tolist() == [255, 0, 51]


@pytest.mark.parametrize("shape", [(6, 7), (2, 6, 7), (4, 6, 7)])
def test_other_numbers_of_channels_show_the_first(build, shape):
    values = torch.rand(1, *shape)
    made = thumbnails({"test": Split(values)}, [gallery(build, [[0]])], image(shape))
    first = values[0] if len(shape) == 2 else values[0, 0]
    assert np.abs(pixels(made["test"]["0"]) - 255 * first.numpy()).max() <= 0.5


def test_without_a_range_each_picture_is_stretched(build):
    values = torch.tensor([[[10.0, 30.0]], [[5.0, 5.0]]])[:, None]
    domain = image((1, 1, 2), None, None)
    made = thumbnails({"test": Split(values)}, [gallery(build, [[0], [1]])], domain)
    assert pixels(made["test"]["0"]).tolist() == [[0, 255]]
    assert pixels(made["test"]["1"]).tolist() == [[0, 0]]


def test_pairs_come_from_both_splits_and_what_is_not_there_is_left_out(build):
    splits = {name: Split(torch.rand(5, 1, 3, 3)) for name in ("test", "train")}
    entry = gallery(build, [[1, 2], [4, 9], [0, -1]], ("test", "train"))
    elsewhere = gallery(build, [[1]], ("gone",))
    made = thumbnails(splits, [entry, elsewhere], image((1, 3, 3)))
    assert set(made["test"]) == {"0", "1", "4"} and set(made["train"]) == {"2"}


def test_large_pictures_are_made_small(build):
    values = torch.rand(1, 1, 200, 400)
    made = thumbnails({"test": Split(values)}, [gallery(build, [[0]])], image((1, 200, 400)))
    assert pixels(made["test"]["0"]).shape == (48, 96)


@pytest.mark.parametrize(("noise", "side"), [(0.0, 96), (1.0, 32)])
def test_number_and_bytes_are_bounded(build, noise, side):
    """20 galleries of plain pictures, and of noise, which no PNG can compress."""
    generator = torch.Generator().manual_seed(0)
    splits = {"test": Split(noise * torch.rand(800, 3, 96, 96, generator=generator))}
    entries = [gallery(build, [[40 * k + i] for i in range(40)]) for k in range(20)]
    made = thumbnails(splits, entries, image((3, 96, 96)))
    texts = list(made["test"].values())
    assert 200 < len(texts) <= PICTURES and (noise or len(texts) == PICTURES)
    assert sum(map(len, texts)) <= BUDGET
    assert max(pixels(texts[0]).shape) == side
    firsts = {str(40 * k + i) for k in range(20) for i in range(10)}
    assert firsts <= set(made["test"])  # of every gallery the first rows, before more of any
    assert str(ROWS) not in made["test"]


def test_when_nothing_helps_the_first_pictures_stay(build, monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 10_000)
    splits = {"test": Split(torch.rand(50, 3, 40, 40))}
    made = thumbnails(splits, [gallery(build, [[k] for k in range(9)])], image((3, 40, 40)))
    assert 0 < len(made["test"]) < 9 and "0" in made["test"]
    assert sum(map(len, made["test"].values())) <= 10_000


@pytest.mark.parametrize("kind", ["vector", "tokens"])
def test_only_images_have_pictures(build, kind):
    domain = Domain((4,), torch.float32, 0.0, 1.0, kind)
    assert thumbnails({"test": Split(torch.rand(5, 4))}, [gallery(build, [[0]])], domain) == {}
