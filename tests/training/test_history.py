from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charloom.errors import InputError
from charloom.training.history import COLUMNS, Record, interval, read_history, write_history

NUMBERS = st.floats(allow_nan=False)
RECORDS = st.builds(
    Record,
    step=st.integers(0, 2**62),
    epoch=NUMBERS,
    characters=st.integers(0, 2**62),
    learning_rate=NUMBERS,
    grad_norm=NUMBERS,
    loss_nats=NUMBERS,
    bpc=NUMBERS,
    valid_loss_nats=st.none() | NUMBERS,
    valid_bpc=st.none() | NUMBERS,
)
HEADER = ",".join(COLUMNS)
ROW = "50,0.5,80000,0.01,1.5,2.0,2.885,,"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, max_size=4))
def test_a_history_is_read_exactly_as_it_was_written(tmp_path: Path, history: list[Record]) -> None:
    write_history(tmp_path / "history.csv", history)
    assert read_history(tmp_path / "history.csv") == history


def test_the_file_has_a_column_for_each_field(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [Record(50, 0.5, 80000, 0.01, 1.5, 2.0, 2.885)])
    assert (tmp_path / "history.csv").read_text() == f"{HEADER}\n{ROW}\n"
    assert HEADER.startswith("step,epoch,characters,")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        f"{HEADER},more\n{ROW},\n".encode(),
        f"{HEADER.replace('bpc', 'perplexity')}\n{ROW}\n".encode(),
        f"{HEADER}\n{ROW}\n50,0.5\n".encode(),
        f"{HEADER}\n{ROW},1\n".encode(),
        f"{HEADER}\n50,0.5,80000,0.01,1.5,,2.885,,\n".encode(),
        f"{HEADER}\n,0.5,80000,0.01,1.5,2.0,2.885,,\n".encode(),
        f"{HEADER}\n50.5,0.5,80000,0.01,1.5,2.0,2.885,,\n".encode(),
        f"{HEADER}\n50,half,80000,0.01,1.5,2.0,2.885,,\n".encode(),
        f'{HEADER}\n50,0.5,80000,0.01,1.5,2.0,2.885,,"'.encode(),
        f"{HEADER}\n{ROW}\n".encode("utf-16"),
    ],
)
def test_a_file_that_train_did_not_write_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(
        InputError, match=r"history\.csv: not a history that train wrote; make it again with `dvc repro train`"
    ):
        read_history(tmp_path / "history.csv")


def test_the_error_names_a_missing_history(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"history\.csv: no such file"):
        read_history(tmp_path / "history.csv")


@pytest.mark.parametrize(
    ("stated", "steps", "expected"), [(50, 1, 50), (50, 50_000, 50), (50, 50_001, 100), (50, 62_000_000, 62_000)]
)
def test_a_long_training_has_records_at_larger_distances(stated: int, steps: int, expected: int) -> None:
    assert interval(stated, steps, 1000) == expected
