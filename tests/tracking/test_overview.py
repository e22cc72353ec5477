"""The list of runs as `charloom runs` prints it, and the search for one run, in a real store."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from charloom.cli.runs import fitting
from charloom.errors import InputError
from charloom.tracking.overview import RunRow, differing, find_run, grouped, list_runs
from tests.conftest import CHECKOUT
from tests.tracking.tracked import PARAMS, Tracked, with_params

ROWS = [
    RunRow("a" * 32, "best", "FINISHED", 1.5, {"model.cell": "GRU", "train.seed": "1", "model.layers": "2"}),
    RunRow("b" * 32, "[red]worse\x1b[2J", "FINISHED", 2.5, {"model.cell": "LSTM", "train.seed": "1"}),
    RunRow("c" * 32, "running", "RUNNING", None, {"model.cell": "LSTM", "train.seed": "1", "model.layers": "1"}),
]


def drawn(width: int, rows: list[RunRow]) -> str:
    """The table as a terminal of this width shows it."""
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(fitting(grouped(rows), console))
    return capture.get()


def seeds(*scores: float | None, size: str = "64") -> list[RunRow]:
    """Runs with the seeds 1, 2, … and these bits per character."""
    values = enumerate(scores, start=1)
    return [
        RunRow(f"{seed}{size}" * 9, "LSTM", "FINISHED", bpc, {"model.hidden_size": size, "train.seed": str(seed)})
        for seed, bpc in values
    ]


def test_runs_are_listed_best_first_and_unevaluated_ones_last(tracked: Tracked) -> None:
    tracked.train()
    assert [row.bpc for row in list_runs(PARAMS)] == [None]
    tracked.evaluate()
    (tracked.workspace / "details/evaluate.json").write_text('{"bpc": 1.75, "perplexity": 4.5}')
    tracked.evaluate("f" * 64, seed=7)
    rows = list_runs(PARAMS)
    assert [row.bpc for row in rows] == [1.75, 2.25]
    assert differing(rows) == ["evaluate.seed"]
    tracked.train(ends=False)
    assert [row.status for row in list_runs(PARAMS)] == ["FINISHED", "FINISHED", "FAILED"]


def test_listing_runs_makes_neither_a_store_nor_an_experiment(root: Path, tables: Path) -> None:
    assert list_runs(PARAMS) == []
    assert list(root.iterdir()) == []
    shutil.copyfile(tables, root / "mlflow.db")
    assert list_runs(PARAMS) == []
    assert not Tracked(root, root).client.get_experiment_by_name(PARAMS.experiment)


def test_only_parameters_with_different_values_are_listed() -> None:
    assert differing(ROWS) == ["model.cell", "model.layers"]
    assert differing(ROWS[:1]) == []


def test_on_a_wide_terminal_each_parameter_has_a_column() -> None:
    text = drawn(80, ROWS)
    header, best, worse, running = (line.split() for line in text.splitlines() if line.strip(" ─"))
    assert header == ["run", "name", "test", "bpc", "model.cell", "model.layers"]
    assert best == ["aaaaaaaa", "best", "1.5000", "GRU", "2"]
    assert worse[-2:] == ["LSTM", "–"]
    assert running[2:] == ["running", "LSTM", "1"]


def test_on_a_narrow_terminal_all_parameters_share_one_column() -> None:
    rows = [
        RunRow(
            run * 32,
            "name",
            "FINISHED",
            1.0,
            {f"section.parameter_{number}": run + str(number) for number in range(12)},
        )
        for run in "ab"
    ]
    text = drawn(80, rows)
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"parameter_{number}\N{NO-BREAK SPACE}a{number}" in text for number in range(1, 11))
    assert "…" not in text
    assert "parameters that differ" in text
    assert "parameters that differ" not in drawn(400, rows)


def test_runs_that_differ_in_the_seed_only_share_a_row_with_mean_and_spread() -> None:
    rows = sorted(seeds(2.0, 1.0, 3.0) + seeds(1.5, size="128"), key=lambda row: row.bpc or 0)
    small, large = grouped(rows)[::-1]
    assert (small.mean, small.spread, small.best.params["train.seed"]) == (2.0, 1.0, "2")
    assert (large.mean, large.spread) == (1.5, None)
    header, first, second = (line.split() for line in drawn(80, rows).splitlines() if line.strip(" ─"))
    assert header == ["run", "name", "test", "bpc", "spread", "seeds", "model.hidden_size"]
    assert first == ["11281128", "LSTM", "1.5000", "–", "1", "128"]
    assert second == ["26426426", "LSTM", "2.0000", "1.0000", "3", "64"]


def test_a_repeated_seed_counts_once_and_the_parameters_of_tracking_not_at_all() -> None:
    first, second = seeds(1.0, 2.0)
    again = replace(first, run_id="f" * 32, params={**first.params, "tracking.timeout": "9"})
    (group,) = grouped([first, again, second])
    assert len(group.rows) == 3
    assert group.mean == 1.5
    assert group.spread == pytest.approx(0.5**0.5)


def test_a_run_on_other_test_data_or_without_an_evaluation_is_in_no_group_with_others() -> None:
    first, second = seeds(1.0, 2.0)
    other = replace(second, params={**second.params, "test data": "abc"})
    assert [len(group.rows) for group in grouped([first, other])] == [1, 1]
    assert [group.mean for group in grouped(seeds(1.0, None))] == [1.0, None]


def test_json_has_all_groups_runs_and_parameters(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from charloom.cli import main

    shutil.copyfile(CHECKOUT / "params.yaml", "params.yaml")

    def listed(*options: str) -> list[dict[str, Any]]:
        monkeypatch.setattr("sys.argv", ["charloom", "runs", "--json", *options])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return list(json.loads(capfd.readouterr().out))

    assert listed() == []
    tracked.train()
    tracked.evaluate()
    (run,) = tracked.runs()
    capfd.readouterr()
    (group,) = listed()
    assert {key: value for key, value in group.items() if key != "runs"} == {
        "seeds": 1,
        "test_bpc": 2.25,
        "spread": None,
    }
    assert group["runs"] == [
        {
            "run_id": run.info.run_id,
            "name": "LSTM-256x1 sample",
            "status": "FINISHED",
            "test_bpc": 2.25,
            "params": {**run.data.params, "test data": "test" * 4},
        }
    ]
    assert listed("--each") == [group]


def test_a_runs_name_sends_no_control_characters_to_the_terminal() -> None:
    text = drawn(80, ROWS)
    assert "[red]worse" in text
    assert "\x1b[2J" not in text


def test_a_run_is_found_by_the_beginning_of_its_id_or_by_its_name(tracked: Tracked) -> None:
    tracked.train()
    (run,) = tracked.runs()
    run_id, name = run.info.run_id, run.info.run_name
    assert find_run(PARAMS, run_id[:6])[1].info.run_id == run_id
    assert find_run(PARAMS, name)[1].info.run_id == run_id
    with pytest.raises(InputError, match=r"nothing: no such run in sqlite.*`charloom runs` lists the runs"):
        find_run(PARAMS, "nothing")
    tracked.train()
    with pytest.raises(InputError, match="2 runs have this name or an id that begins like this; give more"):
        find_run(PARAMS, name)


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("runs", 1, "MLflow at http://127.0.0.1:9: "),
        ("verify", 1, "MLflow at http://127.0.0.1:9: "),
        ("publish", 2, "dvc.lock"),  # publish reads dvc.lock, which is missing, before it connects
    ],
)
def test_an_absent_server_or_dvc_lock_is_an_error_of_one_line(
    tracked: Tracked,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
    code: int,
    message: str,
) -> None:
    from charloom.cli import main

    shutil.copyfile(CHECKOUT / "params.yaml", "params.yaml")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.argv", ["charloom", command, *["run"] * (command == "verify")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    error = capfd.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_another_experiment_has_other_runs(tracked: Tracked) -> None:
    tracked.train()
    assert list_runs(with_params(tracked, experiment="other").params) == []
