"""Articles are encoded as stage windows does it: ids, windows, and the articles held out for validation."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.corpus.articles import Article, read_articles
from charloom.errors import InputError
from charloom.params import WindowsParams
from charloom.text.encode import encode_splits, write_split
from charloom.text.npy import HEADER_BYTES
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from tests.conftest import WriteRows
from tests.learning import windows_of
from tests.text.splits import LETTERS, Scope, encode_texts, window_params, write_difficult_rows


def reference(texts: Sequence[str], length: int, stride: int, scope: Scope) -> list[list[int]]:
    """The windows of the texts, found by a plain loop."""
    if scope == "article":
        encoded = [LETTERS.encode(text).tolist() for text in texts]
        return [ids[i : i + length + 1] for ids in encoded for i in range(0, len(ids) - length, stride)]
    stream = [LETTERS.eos]
    for text in texts:
        stream += [*LETTERS.encode(text).tolist(), LETTERS.eos]
    last = len(stream) - length - 1
    starts = list(range(0, last + 1, stride))
    if starts and starts[-1] < last:
        starts.append(last)  # so that all symbols are used
    return [stream[i : i + length + 1] for i in starts]


TEXTS = st.lists(st.text("abc ?", max_size=25), max_size=8)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 30), st.integers(1, 40), st.sampled_from(["article", "stream"]))
def test_windows_are_the_same_as_those_of_a_plain_loop(
    texts: list[str], length: int, stride: int, scope: Scope
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        split = encode_texts(Path(folder), texts, window_params(length, stride, scope))
        expected = reference(texts, length, stride, scope)
        assert windows_of(split, range(len(split))) == expected
        assert (split.length, split.stride, split.scope) == (length, stride, scope)
        assert split.unknown == sum(text.count("?") for text in texts)
        assert split.characters == sum(map(len, texts))
        assert split.lengths.tolist() == [len(text) + 1 for text in texts]
        assert split.classes.tolist() == list(range(len(texts)))
        for index, text in enumerate(texts):
            assert split.article(index).tolist() == [LETTERS.eos, *LETTERS.encode(text).tolist(), LETTERS.eos]


def test_scope_article_with_stride_1_has_the_tutorials_windows(tmp_path: Path) -> None:
    texts = ["a" * 100, "b" * 101, "c" * 102, "", "d" * 350]
    assert len(encode_texts(tmp_path, texts, window_params(100, 1, "article"))) == 0 + 1 + 2 + 0 + 250


def test_the_windows_of_a_stream_cover_all_symbols(tmp_path: Path) -> None:
    split = encode_texts(tmp_path, ["abc" * 50, "de" * 31], window_params(10, 10, "stream"))
    read = {start + place for start in split.starts_of(range(len(split))).tolist() for place in range(11)}
    assert read == set(range(len(split.codes)))


def test_articles_longer_than_a_chunk_have_the_right_offsets(tmp_path: Path) -> None:
    texts = ["a" * 700_000, "b" * 700_000, "", "c" * 1_500_000, "d"]
    split = encode_texts(tmp_path, texts, window_params(1000, 999, "article"))
    assert split.offsets.tolist() == [1, 700_002, 1_400_003, 1_400_004, 2_900_005, 2_900_007]
    assert np.flatnonzero(split.codes == LETTERS.eos).tolist() == [0, *(split.offsets[1:] - 1).tolist()]
    begins = split.offsets[:-1].tolist()
    starts = [range(begin, begin + len(text) - 1000, 999) for begin, text in zip(begins, texts, strict=True)]
    assert split.starts_of(range(len(split))).tolist() == list(chain.from_iterable(starts))


def test_only_windows_inside_articles_have_their_starts_on_disk(tmp_path: Path) -> None:
    arrays = ["classes.npy", "codes.npy", "offsets.npy"]
    expected: dict[Scope, list[str]] = {"stream": arrays, "article": [*arrays, "starts.npy"]}
    for scope, names in expected.items():
        encode_texts(tmp_path / scope, ["abcde", "fghij"], window_params(2, 1, scope))
        assert sorted(path.name for path in (tmp_path / scope).glob("*.npy")) == names


def test_ids_of_a_large_vocabulary_take_two_bytes(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(["".join(map(chr, range(0x4E00, 0x4E00 + 300)))])
    split = encode_texts(tmp_path, ["\u4e00\u4f2b?"], window_params(1, 1, "stream"), vocabulary)
    assert split.codes.dtype == np.uint16
    assert split.codes.tolist() == [300, 0, 299, 301, 300]


@pytest.fixture
def raw(tmp_path: Path, write_rows: WriteRows) -> Path:
    rows = [(index % 4 + 1, f"{index:03d} abc", "defgh " * (index % 5)) for index in range(100)]
    write_rows(tmp_path / "raw" / "train.csv", rows)
    write_rows(tmp_path / "raw" / "test.csv", rows[:7])
    return tmp_path / "raw"


def decoded_splits(
    raw: Path, settings: WindowsParams, *, valid_fraction: float = 0.1, seed: int = 1
) -> dict[str, list[Article]]:
    """Run encode_splits and decode the articles of each split. Asserts that the returned counts are right."""
    vocabulary = Vocabulary.build(article.text for article in read_articles(raw / "train.csv"))
    folder = raw.parent / "windows"
    counts = encode_splits(raw, folder, vocabulary, settings, valid_fraction=valid_fraction, seed=seed)
    found = {}
    for name in ("train", "valid", "test"):
        split = EncodedSplit.load(folder / name)
        found[name] = [
            Article(int(class_id) + 1, vocabulary.decode(split.article(index)[1:-1]))
            for index, class_id in enumerate(split.classes)
        ]
        assert (counts.pop(f"{name}_articles"), counts.pop(f"{name}_windows")) == (split.articles, len(split))
        assert (counts.pop(f"{name}_characters"), counts.pop(f"{name}_unknown")) == (
            split.characters,
            split.unknown,
        )
    assert not counts
    return found


def test_training_articles_are_divided_and_test_articles_stay(raw: Path) -> None:
    found = decoded_splits(raw, window_params(5, 5, "stream"))
    train = list(read_articles(raw / "train.csv"))
    assert 5 <= len(found["valid"]) <= 20
    assert found["valid"] == [article for article in train if article in found["valid"]]
    assert found["train"] == [article for article in train if article not in found["valid"]]
    assert found["test"] == list(read_articles(raw / "test.csv"))


def test_only_the_seed_decides_which_articles_are_held_out(raw: Path) -> None:
    first = decoded_splits(raw, window_params(5, 5, "stream"))["valid"]
    assert decoded_splits(raw, window_params(7, 3, "article"))["valid"] == first
    assert decoded_splits(raw, window_params(5, 5, "stream"), seed=2)["valid"] != first


@pytest.mark.parametrize(("fraction", "held_out"), [(0.0001, 1), (0.9999, 99)])
def test_each_split_gets_at_least_one_article(raw: Path, fraction: float, held_out: int) -> None:
    assert len(decoded_splits(raw, window_params(5, 5, "stream"), valid_fraction=fraction)["valid"]) == held_out


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_copies_of_an_article_are_in_the_same_split(raw: Path, processes: int) -> None:
    path = raw / "train.csv"
    path.write_bytes(path.read_bytes() * 3)
    vocabulary = Vocabulary.build(article.text for article in read_articles(path))
    folder = raw.parent / "windows"
    options: dict[str, Any] = {"processes": processes, "block_bytes": 500}
    encode_splits(raw, folder, vocabulary, window_params(5, 5, "stream"), valid_fraction=0.3, seed=1, **options)
    train, valid = (EncodedSplit.load(folder / name) for name in ("train", "valid"))
    texts, held_out = (
        [vocabulary.decode(split.article(index)) for index in range(split.articles)] for split in (train, valid)
    )
    assert not set(texts) & set(held_out)
    assert len(texts) + len(held_out) == 300
    assert 3 * 15 <= len(held_out) <= 3 * 45


def test_the_same_parameters_give_the_same_bytes(raw: Path) -> None:
    def content() -> dict[str, bytes]:
        decoded_splits(raw, window_params(5, 2, "article"))
        files = (raw.parent / "windows").rglob("*")
        return {str(path): path.read_bytes() for path in files if path.is_file()}

    first = content()
    assert len(first) == 15  # four arrays and windows.json for each split
    assert content() == first


@pytest.mark.parametrize("scope", ["article", "stream"])
@pytest.mark.parametrize("block_bytes", [50, 1000])
def test_the_number_of_processes_does_not_change_the_bytes(tmp_path: Path, scope: Scope, block_bytes: int) -> None:
    write_difficult_rows(tmp_path / "raw" / "train.csv")
    write_difficult_rows(tmp_path / "raw" / "test.csv", more=b'"1","a",""\n')
    found = []
    for processes in (1, 2, 3):
        folder = tmp_path / f"{processes}"
        options: dict[str, Any] = {"processes": processes, "block_bytes": block_bytes}
        params = window_params(9, 4, scope)
        counts = encode_splits(tmp_path / "raw", folder, LETTERS, params, valid_fraction=0.1, seed=1, **options)
        found.append((counts, {path.relative_to(folder): path.read_bytes() for path in folder.glob("*/*")}))
        test = EncodedSplit.load(folder / "test")
        expected = [article.text for article in read_articles(tmp_path / "raw" / "test.csv")]
        assert [test.article(index)[1:-1].tolist() for index in range(test.articles)] == [
            LETTERS.encode(text).tolist() for text in expected
        ]
    assert found[0] == found[1] == found[2]
    assert [len(files) for _, files in found] == [15 if scope == "article" else 12] * 3


def test_the_digests_in_windows_json_are_those_of_the_files(tmp_path: Path) -> None:
    encode_texts(tmp_path, ["abcde", "fghij"], window_params(2, 1, "article"))
    digests = json.loads((tmp_path / "windows.json").read_text())["sha256"]
    assert sorted(digests) == ["classes", "codes", "offsets", "starts"]
    for name, digest in digests.items():
        data = (tmp_path / f"{name}.npy").read_bytes()
        assert digest == hashlib.sha256(data[HEADER_BYTES:] + data[:HEADER_BYTES]).hexdigest()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_wrong_row_is_reported_with_file_and_line(raw: Path, processes: int) -> None:
    with (raw / "test.csv").open("a") as file:
        file.write('"1","a","b"\n' * 20 + '"0","wrong","class"\n' + '"1","a","b"\n' * 20)
    with pytest.raises(InputError, match=r"test\.csv:28: class '0', expected a number from 1 to 65535"):
        encode_splits(
            raw,
            raw.parent / "w",
            LETTERS,
            window_params(2, 2, "stream"),
            valid_fraction=0.5,
            seed=1,
            processes=processes,
            block_bytes=50,
        )
    assert not list(raw.parent.glob("w/test/*"))


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_fewer_than_two_different_training_articles_are_rejected(raw: Path, write_rows: WriteRows, rows: int) -> None:
    write_rows(raw / "train.csv", [(1, "abc", "def")] * rows)
    with pytest.raises(InputError, match=r"train\.csv: [01] different article\(s\); at least two are needed"):
        encode_splits(raw, raw.parent / "w", LETTERS, window_params(2, 2, "stream"), valid_fraction=0.5, seed=1)


@pytest.mark.parametrize("scope", ["article", "stream"])
def test_if_no_window_fits_the_message_says_what_to_lower(raw: Path, scope: Scope) -> None:
    with pytest.raises(InputError) as caught:
        decoded_splits(raw, window_params(9000, 1, scope))
    assert str(caught.value) == (
        f"no window of windows.length = 9000 fits in the training articles (scope {scope}); lower windows.length"
    )


def test_a_split_that_is_written_again_is_incomplete_until_the_end(tmp_path: Path) -> None:
    encode_texts(tmp_path, ["abcde", "fghij"], window_params(5, 5, "stream"))

    def broken() -> Any:
        yield Article(1, "abc")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_split(tmp_path, broken(), LETTERS, window_params(5, 5, "stream"), np.dtype(np.uint32))
    assert not list(tmp_path.glob(".*.tmp"))
    with pytest.raises(InputError, match=r"windows\.json: no such file"):
        EncodedSplit.load(tmp_path)


def test_ag_news_has_the_tutorials_number_of_windows(ag_news_26k: Path, tmp_path: Path) -> None:
    texts = [article.text for article in islice(read_articles(ag_news_26k / "train.csv"), 2000)]
    split = encode_texts(tmp_path, texts, window_params(100, 1, "article"), Vocabulary.build(texts))
    assert len(split) == sum(max(0, len(text) - 100) for text in texts)
    assert split.unknown == 0
