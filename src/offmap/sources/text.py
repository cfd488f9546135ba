"""Plain text as sequences whose targets are the next tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from offmap.attempt import InputError, readable
from offmap.run import DEFAULT_MEMORY, Split

TOKEN_BYTES = 16  # of a token: int64 as an input, and again as a target


def from_text(
    path: str | Path,
    *,
    length: int = 128,
    tokens: Literal["characters", "bytes"] = "characters",
    name: str = "split",
    memory: int = DEFAULT_MEMORY,
    class_names: Sequence[str] | None = None,
) -> Split:
    """Windows of a text that follow one another: inputs [n, length], targets one token later.

    What is left over at the end is dropped. The vocabulary is in `class_names` of the split:
    the characters of the text in sorted order, or the 256 bytes.

    Args:
        path: A file of UTF-8 text, or for bytes, any file.
        length: Tokens in a window.
        tokens: What a token is.
        name: Name of the split.
        memory: Bytes.
        class_names: The vocabulary of another split, to number the tokens alike.

    Raises:
        ValueError: If `length` is not positive.
        InputError: If the file is missing, not UTF-8, shorter than a window, larger than the
            budget allows, or has a character that is not in the vocabulary.
    """
    if length < 1:
        raise ValueError(f"expected length >= 1, got {length}")
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a text file, got none of that name")
    size = path.stat().st_size
    if size * TOKEN_BYTES > memory:
        raise InputError(
            f"{path}: {size:,} bytes of text make up to {size * TOKEN_BYTES:,} bytes of tokens, "
            f"more than the memory budget of {memory:,}: give a part of it"
        )
    numbers, vocabulary = _numbers(path, tokens, class_names)
    count = (len(numbers) - 1) // length
    if count < 1:
        raise InputError(f"{path}: expected more than {length} tokens, got {len(numbers)}")
    used = torch.from_numpy(numbers[: count * length + 1].astype(np.int64))
    return Split(
        used[:-1].reshape(count, length),
        used[1:].reshape(count, length),
        name=name,
        memory=memory,
        class_names=vocabulary,
    )


def _numbers(
    path: Path, tokens: str, class_names: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The text as token numbers, and what each number stands for.

    Raises:
        InputError: If it is not UTF-8, or has characters that are not in the vocabulary.
    """
    if tokens == "bytes":
        names = tuple(chr(b) if 32 <= b < 127 else f"0x{b:02x}" for b in range(256))
        return np.frombuffer(path.read_bytes(), np.uint8), names
    text = readable(lambda: path.read_bytes().decode("utf-8"), str(path))
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    used = np.unique(codes)
    names = tuple(class_names or (chr(code) for code in used.tolist()))
    known = {name: number for number, name in enumerate(names)}
    strange = [chr(code) for code in used.tolist() if chr(code) not in known]
    if strange:
        place = text.index(strange[0])
        raise InputError(
            f"{path}: expected the {len(names)} characters of the vocabulary, "
            f"got {strange[0]!r} at position {place}"
        )
    number = np.asarray([known[chr(code)] for code in used.tolist()])
    return number[np.searchsorted(used, codes)], names
