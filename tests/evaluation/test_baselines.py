"""What baselines.json, metrics and details say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from charloom.errors import InputError
from charloom.evaluation.baselines import Amount, Baselines
from charloom.evaluation.breakdown import Breakdown, BreakdownPart

PARTS = [BreakdownPart("a part", 10, 2.5)]
WHOLE = Baselines(
    bpc={"unigram": 4.5, "2-gram": 3.5, "xz": 2.5, "PPMd": 1.5},
    ngram="2-gram",
    breakdown=Breakdown(PARTS, PARTS, PARTS),
    train=Amount(29_100_000, 29_100_000),
    test=Amount(1_900_000, 1_900_000),
    labelled=Amount(0, 0),
    accuracy={},
)
SAMPLED = replace(WHOLE, train=Amount(20_000_000, 29_100_000))
CONDITIONED = replace(SAMPLED, accuracy={"naive Bayes": 0.9}, labelled=Amount(83_000, 120_000))
NONE = Baselines.none(29_100_000, 1_900_000, 120_000)


def test_metrics_have_two_numbers_and_state_the_size_of_a_sample() -> None:
    assert WHOLE.metrics() == {"ngram_bpc": 3.5, "ppmd_bpc": 1.5}
    assert SAMPLED.metrics() == {"ngram_bpc": 3.5, "ppmd_bpc": 1.5, "baseline_characters": 20_000_000}
    assert NONE.metrics() == {}


def test_details_have_all_numbers() -> None:
    amounts = {
        "train_characters": 29_100_000,
        "train_characters_read": 20_000_000,
        "test_characters": 1_900_000,
        "test_characters_read": 1_900_000,
    }
    assert SAMPLED.details() == WHOLE.bpc | amounts
    labelled = {"labelled_articles": 120_000, "labelled_articles_read": 83_000}
    assert CONDITIONED.details() == WHOLE.bpc | amounts | labelled | {"accuracy": {"naive Bayes": 0.9}}
    assert NONE.details() == amounts | {"train_characters_read": 0, "test_characters_read": 0}


def test_an_amount_is_stated_in_words() -> None:
    assert str(SAMPLED.train) == "20.0 of 29.1 million"
    assert str(Amount(20_000_000, 50_000_000_000)) == "20.0 of 50,000.0 million"
    assert str(Amount(250, 1_000)) == "250 of 1,000"


@pytest.mark.parametrize("baselines", [WHOLE, SAMPLED, CONDITIONED, NONE], ids=["whole", "sampled", "labelled", "none"])
def test_saved_baselines_are_read_back(baselines: Baselines, tmp_path: Path) -> None:
    baselines.save(tmp_path / "baselines.json")
    assert Baselines.load(tmp_path / "baselines.json") == baselines
    assert baselines.exist == (baselines is not NONE)


def test_a_file_of_another_version_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "baselines.json"
    WHOLE.save(path)
    path.write_text(path.read_text().replace('"version": 3', '"version": 2'))
    with pytest.raises(InputError, match="found 'charloom-baselines' of version 2"):
        Baselines.load(path)
