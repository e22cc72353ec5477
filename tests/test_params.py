"""The parameters: their types and ranges, and the error for each wrong value."""

from __future__ import annotations

from pathlib import Path

import pytest

from charloom.cells import CELLS
from charloom.params_file import load_params
from tests.conftest import CHECKOUT
from tests.learning import model_params
from tests.param_files import reject, with_value

*FIRST_CELLS, LAST_CELL = map(repr, CELLS)
CELL_NAMES = f"{', '.join(FIRST_CELLS)} or {LAST_CELL}"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("train.batch_size", "-3", "train.batch_size = -3: must be greater than or equal to 1"),
        ("train.batch_size", "true", "train.batch_size = true: must be a whole number"),
        ("train.batch_size", "16.0", "train.batch_size = 16.0: must be a whole number"),
        ("train.batch_size", "'16'", "train.batch_size = '16': must be a whole number"),
        ("train.batch_size", "", "train.batch_size = null: must be a whole number"),
        ("train.batch_size", "1e3", "train.batch_size = 1000.0: must be a whole number"),
        ("train.batch_size", "2000000", "train.batch_size = 2000000: must be less than or equal to 1000000"),
        ("train.batch_size", "[16]", "train.batch_size = [16]: must be a whole number"),
        ("train.seed", "-1", "train.seed = -1: must be greater than or equal to 0"),
        ("train.epochs", "0", "train.epochs = 0: must be greater than 0"),
        ("train.epochs", ".nan", "train.epochs = nan: must be a finite number"),
        ("train.epochs", ".inf", "train.epochs = inf: must be a finite number"),
        ("train.epochs", "1e999", "train.epochs = inf: must be a finite number"),
        ("train.epochs", "three", "train.epochs = 'three': must be a number"),
        ("train.epochs", "true", "train.epochs = true: must be a number"),
        ("train.warmup", "1.0", "train.warmup = 1.0: must be less than 1"),
        ("train.device", "gpu", "train.device = 'gpu': must be 'auto', 'cpu', 'cuda' or 'mps'"),
        ("train.sample_length", "-1", "train.sample_length = -1: must be greater than or equal to 0"),
        ("train.sample_length", "1001", "train.sample_length = 1001: must be less than or equal to 1000"),
        ("train.sample_prompt", "", "train.sample_prompt = null: must be text"),
        ("train.sample_prompt", "a" * 1001, "must be text of 1000 characters or fewer"),
        ("train.threads", "many", "train.threads = 'many': must be 'auto' or a whole number"),
        ("train.threads", "0", "train.threads = 0: must be 'auto' or greater than or equal to 1"),
        ("train.threads", "2.5", "train.threads = 2.5: must be 'auto' or a whole number"),
        ("model.cell", "lstm", f"model.cell = 'lstm': must be {CELL_NAMES}"),
        ("model.class_memory", "17", "model.class_memory = 17: must be less than or equal to 16"),
        ("model.class_memory", "-1", "model.class_memory = -1: must be greater than or equal to 0"),
        ("data.source", "5", "data.source = 5: must be text"),
        ("data.mirror", "''", "data.mirror = '': must be text of 1 character(s) or more"),
        ("data.text_columns", "[]", "data.text_columns = []: must be a list with 1 or more items"),
        ("data.text_columns", "text", "data.text_columns = 'text': must be a list in brackets, such as [1, 2]"),
        ("data.text_columns", "[0]", "data.text_columns[0] = 0: must be greater than or equal to 1 or text"),
        ("data.text_columns", "[text]", "class_column: must be either all names or all numbers from 1"),
        ("data.class_column", "1.5", "data.class_column = 1.5: must be a whole number or text"),
        ("data.header", "no", "data.header = 'no': must be 'auto' or true or false"),
        (
            "data.article_end",
            "9",
            "data.article_end = 9: must be 'blank_line' or 'line' or greater than or equal to 10",
        ),
        ("data.article_end", "'500'", "data.article_end = '500': must be 'blank_line' or 'line' or a whole number"),
        ("data.errors", "ignore", "data.errors = 'ignore': must be 'strict' or 'replace'"),
        ("vocab.max_size", "1", "vocab.max_size = 1: must be greater than or equal to 2"),
        ("data.normalize", "NFD", "data.normalize = 'NFD': must be 'none', 'NFC' or 'NFKC'"),
        ("data.test_fraction", "0", "data.test_fraction = 0: must be greater than 0"),
        ("data.valid_fraction", "1", "data.valid_fraction = 1: must be less than 1"),
        ("tracking.enabled", "yes", "tracking.enabled = 'yes': must be true or false"),
        ("tracking.enabled", "1", "tracking.enabled = 1: must be true or false"),
        ("evaluate.temperatures", "0.5", "evaluate.temperatures = 0.5: must be a list in brackets, such as [1, 2]"),
        ("evaluate.articles", "101", "evaluate.articles = 101: must be less than or equal to 100"),
        ("baselines.max_characters", "-1", "baselines.max_characters = -1: must be greater than or equal to 0"),
        ("baselines.ngram_order", "0", "baselines.ngram_order = 0: must be greater than or equal to 1"),
        ("baselines.ppmd_order", "65", "baselines.ppmd_order = 65: must be less than or equal to 64"),
        ("evaluate.temperatures", "[]", "evaluate.temperatures = []: must be a list with 1 or more items"),
        ("evaluate.temperatures", f"{[1] * 21}", "= [1, 1, 1, 1, 1, 1, ...]: must be a list with 20 or fewer items"),
        (
            "evaluate.temperatures",
            "[1, -1, 200]",
            "evaluate.temperatures[1] = -1: must be greater than or equal to 0 (and 1 more wrong key)",
        ),
        (
            "windows.scope",
            "article",
            "train.batching = lanes needs windows.scope = stream, because a lane crosses articles",
        ),
    ],
)
def test_a_wrong_value_is_reported_with_what_is_allowed(tmp_path: Path, key: str, value: str, says: str) -> None:
    assert reject(tmp_path, with_value(key, value)).endswith(says)


def test_the_parameters_that_decide_no_result_are_left_out_of_deciding() -> None:
    params = load_params(CHECKOUT / "params.yaml")
    deciding = {f"{section}.{name}" for section, values in params.deciding().items() for name in values}
    tracking = {name for name in params.flat() if name.startswith("tracking.")}
    assert params.flat().keys() - deciding == {"data.mirror", "data.timeout", *tracking}


def test_a_model_is_described_in_words_and_by_a_short_name() -> None:
    one, two = (model_params(cell="GRU", layers=layers, hidden_size=64) for layers in (1, 2))
    assert (one.in_words, one.short_name) == ("GRU, 1 layer of 64 units", "GRU-64x1")
    assert (two.in_words, two.short_name) == ("GRU, 2 layers of 64 units", "GRU-64x2")
