from __future__ import annotations

from pathlib import Path

import pytest
import torch

from charloom.doctor.disk import check_disk, needed_bytes, parameters
from charloom.doctor.facts import Mark
from charloom.model.network import CharModel
from tests.learning import default_params, model_params

MODELS: list[dict[str, object]] = [
    {},
    {"cell": "GRU", "layers": 3, "hidden_size": 20},
    {"cell": "RNN", "memory": 4},
    {"conditioning": "class", "layers": 2},
    {"conditioning": "class", "class_embedding": 0, "memory": 4, "class_memory": 3},
    {"conditioning": "class", "memory": 4, "class_memory": 0},
]


@pytest.mark.parametrize("changes", MODELS)
@pytest.mark.parametrize("symbols", [5, 100])
def test_the_parameters_are_counted_as_the_network_counts_them(changes: dict[str, object], symbols: int) -> None:
    params = model_params(**changes)
    with torch.device("meta"):
        assert parameters(params, symbols, 4) == CharModel(symbols, params, 4).size()


def test_more_trainings_need_more_space_and_a_full_disk_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = default_params()
    one, estimate = needed_bytes(params)
    assert needed_bytes(params, runs=20)[0] > 5 * one
    assert "1 training: 3 copies of a model" in estimate
    assert check_disk(params, tmp_path, runs=10**12).mark is Mark.FAULT
