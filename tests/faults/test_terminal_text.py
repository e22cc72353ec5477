"""Text from untrusted sources (corpora, params, prompts, models, lock files) cannot control the user's terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import portalocker
import pytest

from charloom.model.saved import save_model
from charloom.text.vocab import Vocabulary
from tests.conftest import CHECKOUT, Start, line_of
from tests.learning import small_model
from tests.pipeline.workspace import clean_environment

ATTACK = "\x1b[2J\x1b]0;owned\x07\x9b31m\rhidden\x08\x7f"


def control_characters(text: str) -> list[str]:
    """The control characters in a text, except newline and tab."""
    return [char for char in text if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(CHECKOUT / "src")),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=60,
        check=False,
    )


def write_params(folder: Path, source: str) -> None:
    """Write the checkout's params.yaml to `folder` with this data.source, given as YAML."""
    text = (CHECKOUT / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(text.replace("source: ag_news", f"source: {source}"), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three files: params.yaml with ATTACK as data.source, a model with its characters, and a text."""
    folder = tmp_path_factory.mktemp("hostile")
    write_params(folder, '"' + "".join(f"\\x{ord(char):02x}" for char in ATTACK) + '"')
    vocabulary = Vocabulary.build([ATTACK])
    save_model(folder / "model", small_model(len(vocabulary)), vocabulary, "key")
    (folder / "text").write_text(ATTACK + "\n", encoding="utf-8", newline="")
    return folder


def test_a_stage_escapes_a_hostile_parameter_and_a_hostile_row(folder: Path) -> None:
    stage = str(CHECKOUT / "stages" / "download.py")
    done = run(folder, sys.executable, stage)
    assert done.returncode == 2
    assert "owned" in done.stderr
    source = folder / ATTACK
    source.mkdir()
    for name in ("train.csv", "test.csv"):
        (source / name).write_text(f'"{ATTACK}","a","b"\n', encoding="utf-8", newline="")
    row = run(folder, sys.executable, stage)
    assert row.returncode == 2
    assert "expected a number from 1 to 65535" in row.stderr
    for text in (done.stdout, done.stderr, row.stdout, row.stderr):
        assert control_characters(text) == []


def test_a_stage_escapes_a_hostile_column_name(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(json.dumps({ATTACK: "a"}) + "\n", encoding="utf-8")
    write_params(tmp_path, "mine.jsonl")
    done = run(tmp_path, sys.executable, str(CHECKOUT / "stages" / "download.py"))
    assert done.returncode == 2
    assert r"the columns are \x1b[2J" in done.stderr
    assert control_characters(done.stdout + done.stderr) == []


@pytest.mark.parametrize(
    "arguments",
    [("sample", "--prompt", ATTACK, "--length", "100"), ("score", "--surprisal", "text")],
    ids=" ".join,
)
def test_the_command_escapes_hostile_texts(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, "charloom", arguments[0], "--model", "model", *arguments[1:])
    assert done.returncode == 0, done.stderr
    assert re.search(r"\\(x|u00)1b", done.stdout)
    assert control_characters(done.stdout + done.stderr) == []


def test_the_name_of_the_process_with_a_lock_is_escaped(tmp_path: Path, start_python: Start) -> None:
    with (tmp_path / "a.lock").open("w", encoding="utf-8") as file:
        portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE)
        (tmp_path / "a.pid").write_text(ATTACK, encoding="utf-8")
        waiting = start_python(
            "from pathlib import Path; from charloom.files import exclusive\nwith exclusive(Path('a.lock'), 'it'): pass"
        )
        line = line_of(waiting.stdout)
    assert line.startswith("waiting for process \\x1b[2J")
    assert control_characters(line) == []
