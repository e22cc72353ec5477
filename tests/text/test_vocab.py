from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.corpus.articles import read_articles
from charloom.errors import InputError
from charloom.params import Normalization
from charloom.project.workspace import set_params
from charloom.text.vocab import EOS, UNK, Vocabulary, chunked, code_points
from tests.conftest import CHECKOUT, WriteRows

TEXTS = st.lists(st.text(max_size=30), max_size=6).filter(lambda texts: len(set("".join(texts))) > 1)


def counted(texts: list[str]) -> Counter[str]:
    """The loop of the tutorial that README.md names. torchtext.vocab.vocab(counter) keeps the order of this counter."""
    counter: Counter[str] = Counter()
    for text in texts:
        for character in text:
            counter[character] += 1
    return counter


def letters(count: int) -> str:
    """A text of `count` different characters without surrogates."""
    return "".join(map(chr, range(0x10000, 0x10000 + count)))


@settings(deadline=None)
@given(TEXTS)
def test_ids_and_counts_are_those_of_the_tutorials_counter(texts: list[str]) -> None:
    vocabulary = Vocabulary.build(texts)
    assert list(zip(vocabulary.characters, vocabulary.counts, strict=True)) == list(counted(texts).items())
    assert vocabulary.encode("".join(vocabulary.characters)).tolist() == list(range(len(vocabulary) - 2))


def test_ag_news_opening_title_gives_the_tutorials_ids() -> None:
    vocabulary = Vocabulary.build(["Wall St. Bears Claw Back Into the Black (Reuters)"])
    assert vocabulary.encode("Wac").tolist() == [0, 1, 13]


@settings(deadline=None)
@given(TEXTS, st.text(max_size=40))
def test_decoding_inverts_encoding_except_for_unknown_characters(texts: list[str], other: str) -> None:
    vocabulary = Vocabulary.build(texts)
    known = set(vocabulary.characters)
    for text in [*texts, other]:
        expected = "".join(character if character in known else "\ufffd" for character in text)
        assert vocabulary.decode(vocabulary.encode(text)) == expected
    assert (vocabulary.encode(other) == vocabulary.unk).sum() == sum(character not in known for character in other)


@pytest.mark.parametrize(("characters", "max_size", "warns"), [(998, None, False), (999, None, True), (999, 99, False)])
def test_the_stage_warns_of_a_large_vocabulary(
    tmp_path: Path, write_rows: WriteRows, characters: int, max_size: int | None, warns: bool
) -> None:
    write_rows(tmp_path / "data/raw/train.csv", [(1, "", letters(characters - 1))])  # a space joins the columns
    set_params(tmp_path / "params.yaml", {"vocab.max_size": max_size})
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    command = [sys.executable, str(CHECKOUT / "stages/build_vocab.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == warns
    if warns:
        assert done.stderr.startswith("warning: the vocabulary has 1001 symbols")
        assert "vocab.min_count" in done.stderr
        assert "vocab.max_size" in done.stderr


def test_the_specials_come_last() -> None:
    vocabulary = Vocabulary.build(["ab"])
    assert (len(vocabulary), vocabulary.eos, vocabulary.unk) == (4, 2, 3)
    assert vocabulary.decode([0, vocabulary.eos, vocabulary.unk, 1]) == "a\n\ufffdb"


def test_characters_below_min_count_become_unk() -> None:
    vocabulary = Vocabulary.build(["abc", "bcd", "c"], min_count=2)
    assert (vocabulary.characters, vocabulary.counts) == (("b", "c"), (2, 3))
    assert vocabulary.encode("abcd").tolist() == [vocabulary.unk, 0, 1, vocabulary.unk]


def test_all_but_the_max_size_most_frequent_characters_become_unk() -> None:
    texts = ["abcbcc", "dddd", "ea"]
    # a and b are equally frequent, and a occurs first
    assert Vocabulary.build(texts, max_size=3).characters == ("a", "c", "d")
    assert Vocabulary.build(texts, max_size=9) == Vocabulary.build(texts)
    assert Vocabulary.build(texts, min_count=3, max_size=3).characters == ("c", "d")


def test_20000_ideographs_take_two_bytes_an_id_and_can_be_limited() -> None:
    han = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) + "".join(map(chr, range(0x20000, 0x20100)))
    texts = [han, han[:5000]]
    vocabulary = Vocabulary.build(texts)
    assert (len(vocabulary.characters), vocabulary.dtype) == (20_256, np.dtype(np.uint16))
    assert vocabulary.decode(vocabulary.encode(han)) == han
    assert Vocabulary.build(texts, min_count=2).characters == tuple(han[:5000])
    small = Vocabulary.build(texts, max_size=200)
    assert (small.characters, small.dtype) == (tuple(han[:200]), np.dtype(np.uint8))


def test_an_emoji_and_any_code_point_above_u_ffff_take_one_id() -> None:
    text = "\U0001f600a\U0001f468\u200d\U0001f469\U0010ffff\0"
    vocabulary = Vocabulary.build([text])
    assert vocabulary.encode(text).tolist() == list(range(len(text)))


def test_a_lone_surrogate_becomes_unk() -> None:
    assert Vocabulary.build(["ab"]).encode("a\ud800").tolist() == [0, 3]


def test_code_points_has_a_number_for_each_character() -> None:
    assert code_points("a\U0001f600").tolist() == [0x61, 0x1F600]


@pytest.mark.parametrize(
    ("characters", "dtype"),
    [(254, "uint8"), (255, "uint16"), (20_000, "uint16"), (65_534, "uint16"), (65_535, "uint32")],
)
def test_ids_have_the_smallest_type_for_all_symbols(characters: int, dtype: str) -> None:
    text = letters(characters)
    vocabulary = Vocabulary.build([text])
    ids = vocabulary.encode(text + "?")
    assert vocabulary.dtype == ids.dtype == np.dtype(dtype)
    assert ids.tolist() == [*range(characters), vocabulary.unk]


@pytest.mark.parametrize("texts", [[], [""], ["aaaa", "a"], ["ab"]])
def test_fewer_than_two_characters_are_rejected(texts: list[str]) -> None:
    with pytest.raises(
        InputError, match=r"characters that occur at least vocab\.min_count = 2 times, but a model needs at least two"
    ):
        Vocabulary.build(texts, min_count=2)


def test_the_order_of_ids_does_not_depend_on_chunks() -> None:
    texts = [chr(0x4E00 - index) + "xyz"[index % 3] * 200_000 + chr(0x5E00 + index) for index in range(12)]
    vocabulary = Vocabulary.build(texts)
    assert dict(zip(vocabulary.characters, vocabulary.counts, strict=True)) == counted(texts)
    assert list(vocabulary.characters) == list(counted(texts))


@given(st.lists(st.text(max_size=9), max_size=20), st.integers(1, 12))
def test_chunks_keep_the_order_and_reach_the_wanted_size(texts: list[str], characters: int) -> None:
    chunks = list(chunked(texts, len, characters))
    assert [text for chunk in chunks for text in chunk] == texts
    assert all(sum(map(len, chunk[:-1])) < characters for chunk in chunks)
    assert all(sum(map(len, chunk)) >= characters for chunk in chunks[:-1])


def test_a_saved_vocabulary_is_loaded_unchanged(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(['\n"\\\0\u2028\U0001f600ab', "a"])
    vocabulary.save(tmp_path / "vocab.json")
    assert Vocabulary.load(tmp_path / "vocab.json") == vocabulary
    saved = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    assert saved["characters"][-2:] == [["a", 2], ["b", 1]]
    assert saved["specials"] == [EOS, UNK]


@pytest.mark.parametrize(
    ("form", "expected"), [("none", "e\u0301\ufb01"), ("NFC", "\u00e9\ufb01"), ("NFKC", "\u00e9fi")]
)
def test_text_is_normalized_as_the_training_split_was(tmp_path: Path, form: Normalization, expected: str) -> None:
    Vocabulary.build(["ab"], normalize=form).save(tmp_path / "vocab.json")
    assert Vocabulary.load(tmp_path / "vocab.json").normalized("e\u0301\ufb01") == expected


def test_a_file_of_an_older_version_does_not_normalize() -> None:
    value = Vocabulary.build(["ab"], normalize="NFC").to_json()
    del value["normalize"]
    assert Vocabulary.from_json(value, "vocab.json") == Vocabulary.build(["ab"])


Damage = Callable[[dict[str, Any]], object]

DAMAGES: list[Damage] = [
    lambda value: value.pop("characters"),
    lambda value: value.update(characters=[]),
    lambda value: value.update(characters={"a": 1}),
    lambda value: value.update(characters="ab"),
    lambda value: value["characters"].append(["a", 1]),
    lambda value: value["characters"].append(["xy", 1]),
    lambda value: value["characters"].append(["", 1]),
    lambda value: value["characters"].append([1, 1]),
    lambda value: value["characters"].append(["c"]),
    lambda value: value["characters"].append(["c", 1, 1]),
    lambda value: value["characters"].append("c1"),
    lambda value: value["characters"].append(["c", -1]),
    lambda value: value["characters"].append(["c", 1.5]),
    lambda value: value["characters"].append(["c", "1"]),
    lambda value: value["characters"].append(["c", True]),
    lambda value: value["characters"].append(None),
    lambda value: value.pop("specials"),
    lambda value: value.update(specials=[UNK, EOS]),
    lambda value: value.update(normalize="NFD"),
    lambda value: value.update(normalize=None),
    lambda value: value.update(normalize=["NFC"]),
    lambda value: value.update(version=2),
    lambda value: value.update(format="charloom-windows"),
    lambda value: value.clear(),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=map(str, range(len(DAMAGES))))
def test_a_damaged_vocabulary_is_rejected_with_its_path(tmp_path: Path, damage: Damage) -> None:
    path = tmp_path / "vocab.json"
    Vocabulary.build(["ab"]).save(path)
    value = json.loads(path.read_text())
    damage(value)
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"vocab\.json: "):
        Vocabulary.load(path)


@pytest.mark.parametrize("value", [None, [], "ab", 3])
def test_json_that_is_not_an_object_is_rejected(value: object) -> None:
    with pytest.raises(InputError, match=r"model\.json: not a vocabulary"):
        Vocabulary.from_json(value, "model.json")


def test_ag_news_has_82_characters(ag_news_26k: Path) -> None:
    vocabulary = Vocabulary.build(article.text for article in read_articles(ag_news_26k / "train.csv"))
    assert len(vocabulary.characters) == 82
