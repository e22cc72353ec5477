"""What sample and score say of a model or a device that is not there, and of a wrong call."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Charloom
from tests.conftest import Run

SUBCOMMANDS = [("sample", ()), ("score", ("-",))]
LOADED = "import sys\nfrom charloom.cli import charloom\ncharloom.main(sys.argv[1:], standalone_mode=False)\n"


@pytest.mark.parametrize(("subcommand", "arguments"), SUBCOMMANDS)
def test_a_folder_without_a_model_is_named(
    charloom: Charloom, tmp_path: Path, subcommand: str, arguments: tuple[str, ...]
) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        ended = charloom(subcommand, *arguments, model=folder)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(f"error: {folder}: no model here (no model.json)")
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize(("subcommand", "arguments"), SUBCOMMANDS)
def test_a_model_of_another_format_version_is_refused(
    charloom: Charloom, tmp_path: Path, model_folder: Path, subcommand: str, arguments: tuple[str, ...]
) -> None:
    newer = Path(shutil.copytree(model_folder, tmp_path / "newer"))
    about = json.loads((newer / "model.json").read_text())
    (newer / "model.json").write_text(json.dumps(about | {"version": 2}))
    ended = charloom(subcommand, *arguments, model=newer)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {newer / 'model.json'}: expected charloom-model of format version 1, found")
    assert ended.err.count("\n") == 1


def test_a_device_that_is_not_there_is_refused(charloom: Charloom) -> None:
    ended = charloom("sample", "--device", "quantum")
    assert ended.code == 2
    assert ended.err.startswith("error: --device = 'quantum': not on this machine, which has")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(("score",), "Missing argument"), (("score", "absent.txt"), "does not exist"), (("sample", "-n", "0"), "x>=1")],
)
def test_a_wrong_call_gets_clicks_own_complaint(charloom: Charloom, arguments: tuple[str, ...], complaint: str) -> None:
    ended = charloom(*arguments)
    assert ended.code == 2
    assert complaint in ended.err


@pytest.mark.parametrize("subcommand", ["sample", "score"])
def test_help_does_not_wait_for_torch(run_python: Run, subcommand: str) -> None:
    ended = run_python(LOADED + "print('torch' in sys.modules)", subcommand, "--help")
    assert ended.stdout.startswith("Usage: ")
    assert ended.stdout.endswith("False\n")
