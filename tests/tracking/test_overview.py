"""`charloom runs` and finding a run, on a real store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from charloom.cli.runs import fitting
from charloom.errors import InputError
from charloom.tracking.overview import Row, differing, find_run, list_runs
from tests.conftest import CHECKOUT
from tests.tracking.tracked import PARAMS, Tracked, with_params

ROWS = [
    Row("a" * 32, "best", "FINISHED", 1.5, {"model.cell": "GRU", "train.seed": "1", "model.layers": "2"}),
    Row("b" * 32, "[red]worse\x1b[2J", "FINISHED", 2.5, {"model.cell": "LSTM", "train.seed": "1"}),
    Row("c" * 32, "running", "RUNNING", None, {"model.cell": "LSTM", "train.seed": "1", "model.layers": "1"}),
]


def drawn(width: int, rows: list[Row], names: list[str]) -> str:
    """The table on a terminal of that width."""
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(fitting(rows, names, console))
    return capture.get()


def test_runs_are_listed_best_first_and_unevaluated_ones_last(tracked: Tracked) -> None:
    tracked.train()
    assert [row.bpc for row in list_runs(PARAMS)] == [None]
    tracked.evaluate()
    (tracked.workspace / "metrics/evaluate.json").write_text('{"bpc": 1.75, "perplexity": 4.5}')
    tracked.evaluate("f" * 64, seed=7)
    rows = list_runs(PARAMS)
    assert [row.bpc for row in rows] == [1.75, 2.25]
    assert differing(rows) == ["evaluate.seed"]
    tracked.train(ends=False)
    assert [row.status for row in list_runs(PARAMS)] == ["FINISHED", "FINISHED", "FAILED"]


def test_no_store_and_no_experiment_are_no_runs_and_make_none(root: Path, tables: Path) -> None:
    assert list_runs(PARAMS) == []
    assert list(root.iterdir()) == []
    shutil.copyfile(tables, root / "mlflow.db")
    assert list_runs(PARAMS) == []
    assert not Tracked(root, root).client.get_experiment_by_name(PARAMS.experiment)


def test_only_parameters_that_differ_are_shown() -> None:
    assert differing(ROWS) == ["model.cell", "model.layers"]
    assert differing(ROWS[:1]) == []


def test_where_there_is_room_a_parameter_has_a_column() -> None:
    text = drawn(80, ROWS, differing(ROWS))
    header, best, worse, running = (line.split() for line in text.splitlines() if line.strip(" ─"))
    assert header == ["run", "name", "test", "bpc", "model.cell", "model.layers"]
    assert best == ["aaaaaaaa", "best", "1.5000", "GRU", "2"]
    assert worse[-2:] == ["LSTM", "–"]
    assert running[2:] == ["running", "LSTM", "1"]


def test_where_there_is_none_they_share_one_and_nothing_is_lost() -> None:
    params = {f"section.parameter_{number}": str(number) for number in range(12)}
    rows = [Row(letter * 32, "name", "FINISHED", 1.0, {**params, "section.parameter_0": letter}) for letter in "ab"]
    text = drawn(80, rows, list(params))
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"parameter_{number}\N{NO-BREAK SPACE}{number}" in text for number in range(1, 12))
    assert "…" not in text
    assert "differs in" not in drawn(400, rows, list(params))


def test_a_terminal_obeys_nothing_in_a_runs_name() -> None:
    text = drawn(80, ROWS, differing(ROWS))
    assert "[red]worse" in text
    assert "\x1b[2J" not in text


def test_a_run_is_found_by_the_beginning_of_its_id_or_by_its_name(tracked: Tracked) -> None:
    tracked.train()
    (run,) = tracked.runs()
    run_id, name = run.info.run_id, run.info.run_name
    assert find_run(PARAMS, run_id[:6])[1].info.run_id == run_id
    assert find_run(PARAMS, name)[1].info.run_id == run_id
    with pytest.raises(InputError, match="nothing: no such run in sqlite"):
        find_run(PARAMS, "nothing")
    tracked.train()
    with pytest.raises(InputError, match="2 runs have that name"):
        find_run(PARAMS, name)


@pytest.mark.parametrize("command", ["runs", "publish", "verify"])
def test_a_server_that_is_gone_is_one_line(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    from charloom.cli import main

    shutil.copyfile(CHECKOUT / "params.yaml", "params.yaml")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.argv", ["charloom", command, *["run"] * (command == "verify")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == (2 if command == "publish" else 1)  # publish looks at dvc.lock first
    error = capfd.readouterr().err
    assert error.startswith("error: dvc.lock" if command == "publish" else "error: MLflow at http://127.0.0.1:9: ")
    assert error.count("\n") == 1


def test_another_experiment_has_other_runs(tracked: Tracked) -> None:
    tracked.train()
    assert list_runs(with_params(tracked, experiment="other").params) == []
