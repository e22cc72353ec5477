from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.corpus.articles import Article, read_articles
from charloom.errors import InputError
from charloom.params import WindowsParams
from charloom.text.encode import encode_splits, stream_starts, write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from tests.conftest import WriteRows

Scope = Literal["article", "stream"]
LETTERS = Vocabulary.build(["abcdefghij klmnopqrstuvwxyz"])


def params(length: int, stride: int, scope: Scope) -> WindowsParams:
    return WindowsParams(length=length, stride=stride, scope=scope)


def written(
    folder: Path, texts: Sequence[str], settings: WindowsParams, vocabulary: Vocabulary = LETTERS
) -> EncodedSplit:
    """The windows of texts whose classes are 1, 2, …, as read back from the folder."""
    articles = (Article(label, text) for label, text in enumerate(texts, start=1))
    write_split(folder, articles, vocabulary, settings, np.dtype(np.uint32))
    return EncodedSplit.load(folder)


def reference(texts: Sequence[str], length: int, stride: int, scope: Scope) -> list[list[int]]:
    """The windows by a plain loop."""
    if scope == "article":
        encoded = [LETTERS.encode(text).tolist() for text in texts]
        return [ids[i : i + length + 1] for ids in encoded for i in range(0, len(ids) - length, stride)]
    stream = [LETTERS.eos]
    for text in texts:
        stream += [*LETTERS.encode(text).tolist(), LETTERS.eos]
    last = len(stream) - length - 1
    starts = list(range(0, last + 1, stride))
    if starts and starts[-1] < last:
        starts.append(last)  # so that no symbol is left out
    return [stream[i : i + length + 1] for i in starts]


TEXTS = st.lists(st.text("abc ?", max_size=25), max_size=8)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 30), st.integers(1, 40), st.sampled_from(["article", "stream"]))
def test_windows_read_back_are_those_of_a_plain_loop(texts: list[str], length: int, stride: int, scope: Scope) -> None:
    with tempfile.TemporaryDirectory() as folder:
        windows = written(Path(folder), texts, params(length, stride, scope))
        expected = reference(texts, length, stride, scope)
        assert windows.gather(range(len(windows))).tolist() == expected
        assert (windows.length, windows.stride, windows.scope) == (length, stride, scope)
        assert windows.unknown == sum(text.count("?") for text in texts)
        assert windows.characters == sum(map(len, texts))
        assert windows.lengths.tolist() == [len(text) + 1 for text in texts]
        assert windows.classes.tolist() == list(range(len(texts)))
        for index, text in enumerate(texts):
            assert windows.article(index).tolist() == [LETTERS.eos, *LETTERS.encode(text).tolist(), LETTERS.eos]


def test_inside_articles_stride_1_gives_as_many_windows_as_the_tutorial(tmp_path: Path) -> None:
    texts = ["a" * 100, "b" * 101, "c" * 102, "", "d" * 350]
    assert len(written(tmp_path, texts, params(100, 1, "article"))) == 0 + 1 + 2 + 0 + 250


def test_a_stream_leaves_no_symbol_out(tmp_path: Path) -> None:
    windows = written(tmp_path, ["abc" * 50, "de" * 31], params(10, 10, "stream"))
    read = {int(start) + place for start in windows.starts for place in range(11)}
    assert read == set(range(len(windows.codes)))


def test_articles_longer_than_a_chunk_keep_their_places(tmp_path: Path) -> None:
    texts = ["a" * 700_000, "b" * 700_000, "", "c" * 1_500_000, "d"]
    windows = written(tmp_path, texts, params(1000, 999, "article"))
    assert windows.offsets.tolist() == [1, 700_002, 1_400_003, 1_400_004, 2_900_005, 2_900_007]
    assert np.flatnonzero(windows.codes == LETTERS.eos).tolist() == [0, *(windows.offsets[1:] - 1).tolist()]
    begins = windows.offsets[:-1].tolist()
    starts = [range(begin, begin + len(text) - 1000, 999) for begin, text in zip(begins, texts, strict=True)]
    assert windows.starts.tolist() == list(chain.from_iterable(starts))


def test_a_long_stream_is_cut_in_pieces_that_join() -> None:
    pieces = list(stream_starts(2_500_000, length=9, stride=1))
    assert len(pieces) > 1
    assert np.array_equal(np.concatenate(pieces), np.arange(2_500_000 - 9))


def test_a_large_vocabulary_takes_two_bytes_a_symbol(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(["".join(map(chr, range(0x4E00, 0x4E00 + 300)))])
    windows = written(tmp_path, ["\u4e00\u4f2b?"], params(1, 1, "stream"), vocabulary)
    assert windows.codes.dtype == np.uint16
    assert windows.codes.tolist() == [300, 0, 299, 301, 300]


@pytest.fixture
def raw(tmp_path: Path, write_rows: WriteRows) -> Path:
    rows = [(index % 4 + 1, f"{index:03d} abc", "defgh " * (index % 5)) for index in range(100)]
    write_rows(tmp_path / "raw" / "train.csv", rows)
    write_rows(tmp_path / "raw" / "test.csv", rows[:7])
    return tmp_path / "raw"


def split(
    raw: Path, settings: WindowsParams, *, valid_fraction: float = 0.1, seed: int = 1
) -> dict[str, list[Article]]:
    """The articles that encode_splits puts into each split, decoded."""
    vocabulary = Vocabulary.build(article.text for article in read_articles(raw / "train.csv"))
    folder = raw.parent / "windows"
    counts = encode_splits(raw, folder, vocabulary, settings, valid_fraction=valid_fraction, seed=seed)
    found = {}
    for name in ("train", "valid", "test"):
        windows = EncodedSplit.load(folder / name)
        found[name] = [
            Article(int(label) + 1, vocabulary.decode(windows.article(index)[1:-1]))
            for index, label in enumerate(windows.classes)
        ]
        assert (counts.pop(f"{name}_articles"), counts.pop(f"{name}_windows")) == (windows.articles, len(windows))
        assert (counts.pop(f"{name}_characters"), counts.pop(f"{name}_unknown")) == (
            windows.characters,
            windows.unknown,
        )
    assert not counts
    return found


def test_the_training_articles_are_parted_in_two_and_the_test_is_kept_whole(raw: Path) -> None:
    found = split(raw, params(5, 5, "stream"))
    train = list(read_articles(raw / "train.csv"))
    assert len(found["valid"]) == 10
    assert found["valid"] == [article for article in train if article in found["valid"]]
    assert found["train"] == [article for article in train if article not in found["valid"]]
    assert found["test"] == list(read_articles(raw / "test.csv"))


def test_the_seed_alone_decides_what_is_held_out(raw: Path) -> None:
    first = split(raw, params(5, 5, "stream"))["valid"]
    assert split(raw, params(7, 3, "article"))["valid"] == first
    assert split(raw, params(5, 5, "stream"), seed=2)["valid"] != first


@pytest.mark.parametrize(("fraction", "held_out"), [(0.0001, 1), (0.5, 50), (0.984, 98)])
def test_the_fraction_held_out_is_rounded_and_at_least_one_article(raw: Path, fraction: float, held_out: int) -> None:
    assert len(split(raw, params(5, 5, "stream"), valid_fraction=fraction)["valid"]) == held_out


def test_the_same_parameters_give_the_same_bytes(raw: Path) -> None:
    def content() -> dict[str, bytes]:
        split(raw, params(5, 2, "article"))
        files = (raw.parent / "windows").rglob("*")
        return {str(path): path.read_bytes() for path in files if path.is_file()}

    first = content()
    assert len(first) == 15
    assert content() == first


@pytest.mark.parametrize("rows", [0, 1])
def test_two_training_articles_are_needed(raw: Path, write_rows: WriteRows, rows: int) -> None:
    write_rows(raw / "train.csv", [(1, "abc", "def")] * rows)
    with pytest.raises(InputError, match=rf"train\.csv: {rows} article\(s\); at least two are needed"):
        encode_splits(raw, raw.parent / "w", LETTERS, params(2, 2, "stream"), valid_fraction=0.5, seed=1)


@pytest.mark.parametrize("scope", ["article", "stream"])
def test_where_no_window_fits_the_message_says_what_to_lower(raw: Path, scope: Scope) -> None:
    with pytest.raises(InputError) as caught:
        split(raw, params(9000, 1, scope))
    assert str(caught.value) == (
        f"no window of windows.length = 9000 fits in the training articles (scope {scope}); lower windows.length"
    )


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
    "another version": change(version=2),
    "another format": change(format="charloom-vocab"),
    "length as text": change(length="5"),
    "length absent": change(length=None),
    "length of nothing": change(length=0),
    "stride of nothing": change(stride=0),
    "a scope of its own": change(scope="page"),
    "unknown as text": change(unknown="none"),
    "other windows counted": change(windows=4),
    "other articles counted": change(articles=3),
    "other characters counted": change(characters=3),
    "no codes": lambda folder: (folder / "codes.npy").unlink(),
    "empty codes": cut("codes.npy", 0),
    "half a header": cut("codes.npy", 60),
    "codes cut short": cut("codes.npy", 130),
    "starts cut short": cut("starts.npy", 130),
    "text for an array": lambda folder: (folder / "starts.npy").write_text("1 2 3"),
    "signed codes": replace("codes", [0] * 13, "int64"),
    "codes with a point": replace("codes", [0] * 13, "float32"),
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
    "names that are none": change(class_names=[1, 2]),
    "a name that is no list": change(class_names="ab"),
    "starts past the end": replace("starts", [0, 5, 8], "uint32"),
    "fewer starts": replace("starts", [0, 5], "uint32"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_split_is_refused_by_name(tmp_path: Path, damage: Damage) -> None:
    assert len(written(tmp_path, ["abcde", "fghij"], params(5, 5, "stream")).codes) == 13
    damage(tmp_path)
    with pytest.raises(InputError) as caught:
        EncodedSplit.load(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_ids_that_the_vocabulary_lacks_are_refused(tmp_path: Path) -> None:
    written(tmp_path, ["abcde", "fghij"], params(5, 5, "stream"))
    symbols = int(EncodedSplit.load(tmp_path).codes.max()) + 1
    EncodedSplit.load(tmp_path, symbols)
    with pytest.raises(InputError, match=f"has the id {symbols - 1}, the vocabulary {symbols - 1} symbols"):
        EncodedSplit.load(tmp_path, symbols - 1)


def test_nothing_pickled_is_run(tmp_path: Path) -> None:
    written(tmp_path, ["abcde", "fghij"], params(5, 5, "stream"))
    ran = tmp_path / "ran"

    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    np.save(tmp_path / "codes.npy", np.array([Touch()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"codes\.npy: not one row"):
        EncodedSplit.load(tmp_path)
    assert not ran.exists()


def test_a_split_written_anew_is_not_whole_until_its_end(tmp_path: Path) -> None:
    written(tmp_path, ["abcde", "fghij"], params(5, 5, "stream"))

    def broken() -> Any:
        yield Article(1, "abc")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_split(tmp_path, broken(), LETTERS, params(5, 5, "stream"), np.dtype(np.uint32))
    assert not list(tmp_path.glob(".*.tmp"))
    with pytest.raises(InputError, match=r"windows\.json: no such file"):
        EncodedSplit.load(tmp_path)


def test_the_tutorials_windows_of_ag_news(ag_news_26k: Path, tmp_path: Path) -> None:
    texts = [article.text for article in islice(read_articles(ag_news_26k / "train.csv"), 2000)]
    windows = written(tmp_path, texts, params(100, 1, "article"), Vocabulary.build(texts))
    assert len(windows) == sum(max(0, len(text) - 100) for text in texts)
    assert windows.unknown == 0
