"""An encoded split is read from disk, and a damaged or inconsistent split is rejected."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charloom.errors import InputError
from charloom.text.split import UNLABELLED, EncodedSplit, choose_share, stream_windows
from tests.text.splits import encode_texts, window_params

Damage = Callable[[Path], object]


def change(**facts: object) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "windows.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))

    return damage


def replace(name: str, values: Any, dtype: str) -> Damage:
    return lambda folder: np.save(folder / f"{name}.npy", np.array(values, dtype=dtype), allow_pickle=True)


def cut(name: str, size: int) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


DAMAGES: dict[str, Damage] = {
    "no windows.json": lambda folder: (folder / "windows.json").unlink(),
    "half a windows.json": cut("windows.json", 30),
    "an older version": change(version=1),
    "another format": change(format="charloom-vocab"),
    "length as text": change(length="5"),
    "length absent": change(length=None),
    "length of zero": change(length=0),
    "stride of zero": change(stride=0),
    "an unknown scope": change(scope="page"),
    "unknown as text": change(unknown="none"),
    "other windows counted": change(windows=4),
    "other articles counted": change(articles=3),
    "other characters counted": change(characters=3),
    "no codes": lambda folder: (folder / "codes.npy").unlink(),
    "empty codes": cut("codes.npy", 0),
    "half a header": cut("codes.npy", 60),
    "codes cut short": cut("codes.npy", 130),
    "text instead of an array": lambda folder: (folder / "classes.npy").write_text("1 2 3"),
    "signed codes": replace("codes", [0] * 13, "int64"),
    "codes as floats": replace("codes", [0] * 13, "float32"),
    "a pickle": replace("codes", [{"a": 1}] * 13, "object"),
    "two axes": replace("codes", [[0] * 13], "uint8"),
    "fewer codes": replace("codes", [0] * 12, "uint8"),
    "more codes": replace("codes", [0] * 14, "uint8"),
    "fewer offsets": replace("offsets", [1, 13], "uint32"),
    "no offsets": replace("offsets", [], "uint32"),
    "offsets from 0": replace("offsets", [0, 7, 13], "uint32"),
    "offsets past the end": replace("offsets", [1, 7, 14], "uint32"),
    "fewer classes": replace("classes", [0], "uint16"),
    "a class without a name": change(class_names=["World"]),
    "names that are numbers": change(class_names=[1, 2]),
    "names as one text": change(class_names="ab"),
    "another length": change(length=9),
    "another stride": change(stride=2),
    "the scope of windows inside articles": change(scope="article"),
}
# Damages to a split whose windows are inside articles. Its starts are 1, 3 (windows "ab", "cd") and 7, 9.
DAMAGES_BY_ARTICLE: dict[str, Damage] = {
    "no starts": lambda folder: (folder / "starts.npy").unlink(),
    "starts cut short": cut("starts.npy", 130),
    "starts past the end": replace("starts", [1, 3, 7, 11], "uint32"),
    "fewer starts": replace("starts", [1, 3, 7], "uint32"),
    "the scope of a stream": change(scope="stream"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_split_is_rejected_with_its_path(tmp_path: Path, damage: Damage) -> None:
    assert len(encode_texts(tmp_path, ["abcde", "fghij"], window_params(5, 5, "stream")).codes) == 13
    damage(tmp_path)
    with pytest.raises(InputError) as caught:
        EncodedSplit.load(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize("damage", DAMAGES_BY_ARTICLE.values(), ids=DAMAGES_BY_ARTICLE.keys())
def test_a_split_with_damaged_starts_is_rejected_with_its_path(tmp_path: Path, damage: Damage) -> None:
    split = encode_texts(tmp_path, ["abcde", "fghij"], window_params(2, 2, "article"))
    assert split.starts_of(range(len(split))).tolist() == [1, 3, 7, 9]
    damage(tmp_path)
    with pytest.raises(InputError) as caught:
        EncodedSplit.load(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize("stride", [1, 7, 1000])
def test_the_starts_of_a_stream_are_computed(tmp_path: Path, stride: int) -> None:
    split = encode_texts(tmp_path, ["abcde" * 20, "fghij" * 9], window_params(9, stride, "stream"))
    last = len(split.codes) - 10
    assert split.starts_of([0, 0]).tolist() == [0, 0]
    assert split.starts_of(np.arange(len(split))).tolist() == sorted({*range(0, last, stride), last})


def test_ids_beyond_the_vocabulary_are_rejected(tmp_path: Path) -> None:
    encode_texts(tmp_path, ["abcde", "fghij"], window_params(5, 5, "stream"))
    symbols = int(EncodedSplit.load(tmp_path).codes.max()) + 1
    says = f"{tmp_path}: contains the id {symbols - 1}, but the vocabulary has only {symbols - 1} symbols"
    for size in (symbols, None):
        right = EncodedSplit.load(tmp_path, size)
        right.check_ids()
        right.article(1)
    split = EncodedSplit.load(tmp_path, symbols - 1)
    for read in (split.check_ids, lambda: split.article(1), lambda: split.labelled(0.5, 1).article(1)):
        with pytest.raises(InputError, match=says):
            read()


def test_opening_a_split_does_not_read_its_codes(tmp_path: Path) -> None:
    params, size = window_params(5, 5, "stream"), 1 << 30
    encode_texts(tmp_path, ["abcde"], params)
    np.lib.format.open_memmap(tmp_path / "codes.npy", "w+", np.uint8, (size,))  # a sparse file of 1 GiB
    np.save(tmp_path / "offsets.npy", np.array([1, size], np.uint32))
    change(characters=size - 2, windows=stream_windows(size, params.length, params.stride))(tmp_path)
    before = mapped_bytes()
    split = EncodedSplit.load(tmp_path, symbols=10)
    assert (split.characters, split.articles) == (size - 2, 1)
    assert mapped_bytes() - before < size / 10


def mapped_bytes() -> int:
    """The memory of this process. It grows by each page of a mapped file that the process reads."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_labelled_keeps_the_classes_of_a_random_share(tmp_path: Path) -> None:
    split = encode_texts(tmp_path, ["ab"] * 20, window_params(5, 5, "stream"))
    few, many = (split.labelled(fraction, seed=1).classes for fraction in (0.25, 0.5))
    known = few != UNLABELLED
    assert (int(known.sum()), int((many != UNLABELLED).sum())) == (5, 10)
    assert few[known].tolist() == split.classes[known].tolist() == many[known].tolist()
    assert split.labelled(1.0, seed=1).classes.tolist() == list(range(20))
    assert split.labelled(0.001, seed=1).classes.tolist().count(UNLABELLED) == 19


def test_choose_share_depends_on_the_seed() -> None:
    assert choose_share(100, 0.5, 1).tolist() == choose_share(100, 0.5, 1).tolist()
    assert choose_share(100, 0.5, 1).tolist() != choose_share(100, 0.5, 2).tolist()


def test_class_counts_need_different_names(tmp_path: Path) -> None:
    encode_texts(tmp_path, ["ab", "cd"], window_params(1, 1, "stream"))
    change(class_names=["sea", "air"])(tmp_path)
    assert [(each.name, each.articles) for each in EncodedSplit.load(tmp_path).class_counts] == [("sea", 1), ("air", 1)]
    change(class_names=["sea", "sea"])(tmp_path)
    with pytest.raises(InputError, match=r"two classes have the same name: sea, sea; correct classes\.txt"):
        _ = EncodedSplit.load(tmp_path).class_counts
