"""Bodies: what they become, and what never gets as far as memory."""

import io
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from offmap.attempt import InputError
from offmap.guard.serve.decoding import array_of, fitted, items, numbers, picture
from offmap.run import Domain

GRAY = Domain((1, 8, 6), torch.float32, 0.0, 1.0, "image")
COLOR = Domain((3, 8, 6), torch.float32, -1.0, 1.0, "image")
VECTOR = Domain((5,), torch.float32, None, None, "vector")
TOKENS = Domain((4,), torch.int64, 0, None, "tokens")


def npy(array, **more):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **more)
    return file.getvalue()


def header(text, version=(1, 0)):
    """The beginning of a .npy file that says anything."""
    raw = text.encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(raw))
    return b"\x93NUMPY" + bytes(version) + length + raw


# ------------------------------------------------------------------------------------ JSON


def test_numbers_are_those_that_numpy_reads():
    given = [[[1, 2.5], [3, 4]], [[5, 6], [7, 8]]]
    assert np.array_equal(numbers(given), np.array(given))
    assert numbers([1, 2]).dtype == np.int64 and numbers([1, 2.0]).dtype == np.float64
    assert numbers([[], []]).shape == (2, 0) and numbers(3).shape == ()
    assert np.isnan(numbers([float("nan")])).all()


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ([1, "secret"], "text"), ([[1], [2, 3]], "uneven"), ([1, [2]], "lists"), ([None], "null"),
        ([True, 1.5], "true or false"), ({"a": 1}, "an object"), ([10**400], "larger"),
        (eval("[" * 20 + "1" + "]" * 20), "levels"),
    ],
)  # fmt: skip
def test_what_is_no_array_of_numbers(given, word):
    with pytest.raises(InputError, match=word) as error:
        numbers(given)
    assert "secret" not in str(error.value)


def test_a_bad_item_spoils_only_itself():
    found = items([[1, 2, 3, 4, 5], [1, 2], "x", [5, 4, 3, 2, 1.5]], VECTOR)
    assert found.places == (0, 3) and found.total == 4
    assert found.inputs.tolist() == [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1.5]]
    assert "[5]" in found.misfits[1] and "text" in found.misfits[2]


def test_an_item_may_be_flat():
    flat = list(range(48))
    nested = np.arange(48).reshape(1, 8, 6).tolist()
    both = items([flat, nested], Domain((1, 8, 6), torch.float32)).inputs
    assert torch.equal(both[0], both[1]) and both.dtype == torch.float32


# ------------------------------------------------------------------------------------- .npy


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8", "<f2", "<i4", "|i1", ">i8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_arrays_are_those_that_numpy_reads(kind, order, version):
    array = np.arange(24).reshape(2, 3, 4).astype(kind).copy(order=order)
    assert np.array_equal(array_of(npy(array, version=version)), array)


def test_objects_are_not_unpickled():
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    bomb = np.empty(1, object)
    bomb[0] = Bomb()
    for data in (npy(bomb), pickle.dumps(Bomb()), npy(np.zeros(2, "O"))):
        with pytest.raises(InputError):
            array_of(data)
    said = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    with pytest.raises(InputError, match="pickles"):
        array_of(header(said) + pickle.dumps(Bomb()))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "npy"),
        (b"\x93NUMPY", "header"),
        (npy(np.zeros(5))[:-1], "40 bytes behind"),
        (npy(np.zeros(5)) + b"1", "got 41"),
        (npy(np.zeros(5))[:20], "header"),
        (b"\x93NUMPY\x09\x09" + npy(np.zeros(5))[8:], "header"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }"), "bytes"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (2**63,) }"), "header"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"), "negative"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -5), }") + b"12345678" * 5,
         "negative"),
        (header("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }") + b"0" * 16, "plain"),
        (header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,) }") + b"0" * 8, "plain"),
        (header("{'descr': '|V0', 'fortran_order': False, 'shape': (10,), }"), "plain"),
        (header("{'descr': '|S3', 'fortran_order': False, 'shape': (1,), }") + b"abc", "plain"),
        (header("[" * 5000), "header"),
        (header("{'descr': " + "(" * 900 + ")" * 900 + "}"), "header"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,) }" + " " * 9999), "header"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "header"),
        (header("__import__('os').abort()"), "header"),
    ],
)  # fmt: skip
def test_broken_arrays(data, word):
    with pytest.raises(InputError, match=word):
        array_of(data)


def test_a_header_asks_for_no_memory():
    huge = header("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 100), }")
    tracemalloc.start()
    with pytest.raises(InputError, match="bytes behind"):
        array_of(huge)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


# --------------------------------------------------------------------- into the guard's domain


def test_bytes_become_shades_of_the_domain():
    shades = np.arange(256, dtype=np.uint8)[:240].reshape(5, 1, 8, 6)
    for domain in (GRAY, Domain((1, 8, 6), torch.float32, 0.0, 255.0, "image")):
        low, high = domain.low or 0.0, domain.high or 0.0
        got = fitted(shades, domain)
        assert got.dtype == torch.float32
        expected = low + torch.from_numpy(shades).double() / 255 * (high - low)
        assert torch.allclose(got.double(), expected, atol=1e-6 * high, rtol=0)
    assert torch.equal(fitted(shades, GRAY), torch.from_numpy(shades).float().div(255))
    assert fitted(np.array([[0, 255, 0, 0, 0]], np.uint8), VECTOR).tolist() == [[0, 1, 0, 0, 0]]


def test_bytes_without_a_scale():
    with pytest.raises(InputError, match="scale"):
        fitted(np.zeros((1, 8, 6), np.uint8), Domain((1, 8, 6), torch.float32, kind="image"))


@pytest.mark.parametrize("rows", [1, 3])
def test_images_may_come_as_files_hold_them(rows):
    given = np.random.default_rng(0).integers(0, 256, (rows, 8, 6, 3), dtype=np.uint8)
    expected = torch.from_numpy(given).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.allclose(fitted(given, COLOR), expected, atol=1e-6)
    assert torch.allclose(fitted(given[0], COLOR), expected[:1], atol=1e-6)
    plain = given[..., 0]
    assert torch.equal(fitted(plain, GRAY)[:, 0], torch.from_numpy(plain).float() / 255)
    assert fitted(plain[0], GRAY).shape == (1, 1, 8, 6)
    assert fitted(given.transpose(0, 3, 1, 2).copy(), COLOR).shape == (rows, 3, 8, 6)


@pytest.mark.parametrize(
    "shape", [(), (3,), (2, 8, 6, 2), (8, 6, 2), (2, 2, 8, 6), (2, 3, 8, 6, 1), (6, 8), (48,)]
)
def test_other_shapes(shape):
    for kind in (np.uint8, np.float32):
        with pytest.raises(InputError, match="expected shape"):
            fitted(np.zeros(shape, kind), GRAY)


def test_types():
    values = np.array([[0.5, 1e300, np.nan, np.inf, -1]])
    got = fitted(values, VECTOR)
    assert got.dtype == torch.float32 and got[0].isfinite().tolist() == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert fitted(values, Domain((5,), torch.float64))[0, 1] == 1e300
    assert fitted(values, Domain((5,), torch.bfloat16)).dtype == torch.bfloat16
    assert fitted(np.array([[1, 2, 3, 4]], np.uint8), TOKENS).tolist() == [[1, 2, 3, 4]]
    assert fitted(np.array([1, 2, 3, 4]), TOKENS).dtype == torch.int64
    for bad in (np.ones((1, 5), bool), np.ones((1, 5), np.uint16)):
        with pytest.raises(InputError, match="floats or bytes"):
            fitted(bad, VECTOR)
    with pytest.raises(InputError, match="whole"):
        fitted(np.array([[1.0, 2, 3, 4]]), TOKENS)
    with pytest.raises(InputError, match="63 bits"):
        fitted(np.array([[2**64 - 1, 0, 0, 0]], np.uint64), TOKENS)
    with pytest.raises(InputError, match="int32"):
        fitted(np.array([[2**40, 0, 0, 0]]), Domain((4,), torch.int32))


# ----------------------------------------------------------------------------------- pictures


def encoded(array, kind, **more):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **more)
    return file.getvalue()


SHADES = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)


def test_png_gray_and_color():
    gray = SHADES[..., 0]
    got = picture(encoded(gray, "PNG"), "image/png", GRAY)
    assert torch.equal(got[0, 0], torch.from_numpy(gray).float() / 255)
    got = picture(encoded(SHADES, "PNG"), "image/png", COLOR)
    expected = torch.from_numpy(SHADES).permute(2, 0, 1).float() / 127.5 - 1
    assert torch.allclose(got[0], expected, atol=1e-6)
    repeated = picture(encoded(gray, "PNG"), "image/png", COLOR)
    assert torch.equal(repeated[0, 0], repeated[0, 2])
    luma = picture(encoded(SHADES, "PNG"), "image/png", GRAY)[0, 0]
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.double)  # ITU-R 601
    exact = torch.from_numpy(SHADES).double() @ weights / 255
    assert torch.allclose(luma.double(), exact, atol=1 / 255)


def test_alpha_palettes_and_flat_domains():
    gray = SHADES[..., 0]
    clear = np.dstack([SHADES, np.full((8, 6), 255, np.uint8)])
    assert torch.equal(
        picture(encoded(clear, "PNG"), "image/png", COLOR),
        picture(encoded(SHADES, "PNG"), "image/png", COLOR),
    )
    file = io.BytesIO()
    Image.fromarray(gray).convert("P").save(file, "PNG")
    assert picture(file.getvalue(), "image/png", GRAY).shape == (1, 1, 8, 6)
    flat = Domain((8, 6), torch.float32, 0.0, 1.0, "image")
    got = picture(encoded(gray, "PNG"), "image/png", flat)
    assert torch.equal(got[0], torch.from_numpy(gray).float() / 255)


def test_jpeg():
    smooth = np.repeat(np.linspace(0, 255, 8).astype(np.uint8)[:, None], 6, axis=1)
    got = picture(encoded(smooth, "JPEG", quality=100), "image/jpeg", GRAY)
    assert torch.allclose(got[0, 0], torch.from_numpy(smooth).float() / 255, atol=0.02)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height):
    """A PNG of so many pixels in a few bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9, 5_000, 60_000, 2**31 - 1])
def test_a_bomb_is_not_decoded(side):
    data = bomb(side, side)
    tracemalloc.start()
    with pytest.raises(InputError, match="expected a"):
        picture(data, "image/png", GRAY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


def test_texts_in_an_image_do_not_explode():
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 50_000_000))
    good = encoded(SHADES[..., 0], "PNG")
    tracemalloc.start()
    with pytest.raises(InputError):
        picture(good[:33] + text + good[33:], "image/png", GRAY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_broken_images():
    good = encoded(SHADES, "PNG")
    deep = encoded(np.zeros((8, 6), np.uint16), "PNG")
    for data, word in (
        (good[:-30], "broken"), (b"", "broken"), (b"secret", "broken"), (deep, "8 bits"),
        (encoded(SHADES, "JPEG"), "PNG"), (encoded(SHADES, "GIF"), "PNG"),
        (encoded(SHADES[:7], "PNG"), "6 pixels wide and 8 high, got 6 by 7"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=word) as error:
            picture(data, "image/png", COLOR)
        assert "secret" not in str(error.value)
    with pytest.raises(InputError, match="vectors"):
        picture(good, "image/png", VECTOR)
