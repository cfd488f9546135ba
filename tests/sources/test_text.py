"""Text as next-token examples."""

import pytest
import torch

from offmap.attempt import InputError
from offmap.sources import from_text, load_split


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abracadabra über", encoding="utf-8")
    return path


def test_targets_are_the_inputs_one_later(text):
    split = from_text(text, length=5)
    said = "".join(split.class_names[i] for i in split.inputs.flatten().tolist())
    told = "".join(split.class_names[i] for i in split.targets.flatten().tolist())
    assert split.inputs.shape == split.targets.shape == (3, 5)
    assert said == "abracadabra übe"
    assert told == "bracadabra über"
    assert split.inputs.dtype == split.targets.dtype == torch.int64
    assert split.class_names == tuple(sorted(set("abracadabra über")))


def test_what_is_left_over_is_dropped(text):
    assert from_text(text, length=4).inputs.shape == (3, 4)
    assert from_text(text, length=15).inputs.shape == (1, 15)
    with pytest.raises(InputError, match="more than 16 tokens, got 16"):
        from_text(text, length=16)
    with pytest.raises(ValueError, match="expected length >= 1, got 0"):
        from_text(text, length=0)


def test_bytes(text):
    split = from_text(text, length=5, tokens="bytes")
    assert bytes(split.inputs.flatten().tolist()) == "abracadabra über".encode()[:15]
    assert len(split.class_names) == 256
    assert split.class_names[ord("a")] == "a"


def test_the_vocabulary_of_another_split(text, tmp_path):
    (tmp_path / "test.txt").write_text("dabba")
    names = from_text(text, length=5).class_names
    split = from_text(tmp_path / "test.txt", length=4, class_names=names)
    assert "".join(names[i] for i in split.inputs[0].tolist()) == "dabb"
    (tmp_path / "test.txt").write_text("dabbz")
    with pytest.raises(InputError, match="characters of the vocabulary, got 'z' at position 4"):
        from_text(tmp_path / "test.txt", length=4, class_names=names)


def test_files_that_are_no_text_or_too_large_are_refused(text, tmp_path):
    with pytest.raises(InputError, match="expected a text file, got none"):
        from_text(tmp_path / "none.txt")
    (tmp_path / "bad.txt").write_bytes(b"abc\xff\xfe")
    with pytest.raises(InputError, match=r"bad.txt cannot be read: UnicodeDecodeError"):
        from_text(tmp_path / "bad.txt", length=2)
    with pytest.raises(InputError, match=r"17 bytes of text make up to 272 bytes"):
        from_text(text, length=2, memory=271)


@pytest.mark.data
def test_shakespeare(data_folder):
    path = data_folder / "tinyshakespeare.txt"
    split = load_split(path, task="tokens", name="train")
    text = path.read_text()
    assert split.class_names == tuple(sorted(set(text)))
    assert len(split) == (len(text) - 1) // 128
    said = "".join(split.class_names[i] for i in split.part(7, 8).inputs[0].tolist())
    assert said == text[7 * 128 : 8 * 128]
    assert torch.equal(split.targets[3][:-1], split.inputs[3][1:])
