"""The picture of an answer shows the input, its neighbors, and the verdict."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from offmap.attempt import InputError
from offmap.guard.facts import REASONS
from offmap.guard.fit import fit_guard
from offmap.guard.picture import COLORS, GAP, LARGE, MARK, PALE, SMALL, picture

from . import worlds


def drawn(guard, given):
    answer = guard.answer([given])[0]
    return answer, np.asarray(picture(guard, given, answer))


def squares(image, side, colors):
    """Where a block of that side starts whose pixels are all as `colors` [side, side, 3] says."""
    height, width = image.shape[:2]
    return [
        (top, left)
        for top in range(height - side + 1)
        for left in range(width - side + 1)
        if (image[top, left] == colors[0, 0]).all()
        and (image[top : top + side, left : left + side] == colors).all()
    ]


def enlarged(pixels, side):
    """[8, 8] of 8 bits, every pixel a square of side / 8."""
    gray = np.kron(pixels, np.ones((side // 8, side // 8), dtype=np.uint8))
    return np.repeat(gray[:, :, None], 3, axis=2)


def test_it_shows_the_input_and_each_neighbor(digits_guard, fresh_digits):
    given = fresh_digits.inputs[0]
    answer, image = drawn(digits_guard, given)
    own = (255 * given[0]).round().byte().numpy()
    ((top, left),) = squares(image, LARGE, enlarged(own, LARGE))
    assert left == GAP
    places = []
    for one in answer.neighbors:
        pixels = digits_guard.atlas.pictures[one.place, 0].numpy()
        (place,) = squares(image, SMALL, enlarged(pixels, SMALL))
        places.append(place)
    assert places == sorted(places)  # nearest first, side by side
    assert {place[0] for place in places} == {top}


@pytest.mark.parametrize("reason", REASONS)
def test_the_band_has_the_color_of_the_reason(reason, digits_guard, fresh_digits):
    given = fresh_digits.inputs[0]
    answer = copy.copy(digits_guard.answer([given])[0])
    object.__setattr__(answer, "reason", reason)
    image = np.asarray(picture(digits_guard, given, answer))
    assert tuple(image[1, 1]) == COLORS[reason]
    assert (image[:40] == 255).all(axis=2).any()  # white letters on it


def luminance(color):
    parts = [c / 255 for c in color]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("reason", REASONS)
def test_white_letters_can_be_read_on_every_band(reason):
    """Contrast of at least 4.5 (WCAG 2.2, success criterion 1.4.3)."""
    assert 1.05 / (luminance(COLORS[reason]) + 0.05) >= 4.5


def test_what_breaks_the_contract_is_marked(digits_guard, fresh_digits):
    given = fresh_digits.inputs[0].clone()
    given[0, 2, 3], given[0, 7, 7] = torch.nan, 1.5
    answer, image = drawn(digits_guard, given)
    assert answer.reason == "contract"
    marked = (image == MARK).all(axis=2)
    assert marked.sum() == 2 * (LARGE // 8) ** 2
    assert (
        not (np.asarray(drawn(digits_guard, fresh_digits.inputs[0])[1]) == MARK).all(axis=2).any()
    )


def test_without_pictures_it_says_so(digits_run, calibration_digits, fresh_digits):
    guard = fit_guard(
        digits_run.model, digits_run.train, calibration_digits, score="energy",
        domain=digits_run.domain, pictures=False, atlas=20,
    )  # fmt: skip
    _, image = drawn(guard, fresh_digits.inputs[0])
    assert (image == PALE).all(axis=2).sum() > 5 * 0.8 * SMALL**2


def test_inputs_of_another_shape_can_still_be_looked_at(digits_guard):
    """Colors, and more pixels than there is room for."""
    given = torch.rand(3, 300, 200, generator=torch.Generator().manual_seed(0))
    answer, image = drawn(digits_guard, given)
    assert answer.reason == "contract"
    bottom = len(image) - GAP - 8
    field = image[bottom - LARGE : bottom, GAP : GAP + LARGE]
    assert (field == PALE).all(axis=2)[:, 0].all()  # it is narrower than high
    inner = field[:, LARGE // 2 - 40 : LARGE // 2 + 40]
    expected = 255 * given.mean(dim=(1, 2)).numpy()
    assert inner.reshape(-1, 3).mean(axis=0) == pytest.approx(expected, abs=4)


def test_long_words_stay_inside(digits_guard, fresh_digits):
    answer = copy.copy(digits_guard.answer(fresh_digits.inputs[:1])[0])
    object.__setattr__(answer, "detail", "x" * 500 + " " + "word " * 60)
    made = picture(digits_guard, fresh_digits.inputs[0], answer)
    image = np.asarray(made)
    assert (
        (image[:, -2:] != 255).any(axis=2)[:40].all()
    )  # the band reaches the edge, no letter does
    assert made.height > np.asarray(drawn(digits_guard, fresh_digits.inputs[0])[1]).shape[0]
    assert isinstance(made, Image.Image)


def test_vectors_cannot_be_drawn(generator):
    train, calibration = worlds.drawn(60, generator), worlds.drawn(100, generator)
    guard = fit_guard(worlds.network(), train, calibration, score="energy")
    given = torch.zeros(1)
    with pytest.raises(InputError, match="expected an image to draw, got inputs of kind vector"):
        picture(guard, given, guard.answer([given])[0])


def test_a_vector_given_to_a_guard_of_images_cannot_be_drawn(digits_guard):
    given = torch.zeros(64)
    with pytest.raises(InputError, match=r"expected an image to draw, got shape \(64,\)"):
        picture(digits_guard, given, digits_guard.answer([given])[0])
