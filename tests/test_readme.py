"""The `charloom …` commands in the documents. All of them parse, and most of them run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import click
import pytest

from charloom.cli import charloom
from charloom.corpus.sources import AG_NEWS_CLASSES, SAMPLE
from charloom.files import write_json
from tests.conftest import CHECKOUT
from tests.learning import save_conditioned_model
from tests.pipeline.workspace import clean_environment

DOCUMENTS = ("README.md", "corpora/README.md", "docs/your-own.md", "src/charloom/project/README.md")
# The tests parse commands with these words, but do not run them, because there is no tracker and no checkout.
NOT_RUN = {"publish", "runs", "promote", "verify", "doctor", "plan", "clean", "models:/charloom@best"}
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(charloom [^`]+)`")


def pipelines(document: str) -> Iterator[str]:
    """The shell pipelines of a document that start with `charloom`."""
    for block in FENCED.findall(document):
        for line in block.splitlines():
            yield from (part.strip() for part in line.partition(" #")[0].split("&&") if is_charloom(part))
    yield from (command for command in INLINE.findall(FENCED.sub("", document)) if "…" not in command)


def is_charloom(command: str) -> bool:
    return command.split()[:1] == ["charloom"]


def arguments_of(pipeline: str) -> list[list[str]]:
    """The arguments of each `charloom` in a pipeline."""
    return [shlex.split(command)[1:] for command in pipeline.split("|") if is_charloom(command)]


def parse(arguments: Sequence[str]) -> None:
    """Parse the arguments of a `charloom` command as the command itself does, and run nothing."""
    with suppress(click.exceptions.Exit):  # --help and --version end here
        context = charloom.make_context("charloom", list(arguments))
        name, command, rest = charloom.resolve_command(context, list(arguments))
        assert command is not None
        command.make_context(name, rest, parent=context)


SHOWN = list(dict.fromkeys(p for name in DOCUMENTS for p in pipelines((CHECKOUT / name).read_text(encoding="utf-8"))))
RUN = [pipeline for pipeline in SHOWN if not {*chain(*arguments_of(pipeline))} & NOT_RUN]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a user's after `dvc repro`: the embedded sample, a tiny conditioned model, and two files."""
    made = tmp_path_factory.mktemp("readme")
    save_conditioned_model(made / "models" / "charloom", tmp_path_factory.mktemp("windows"))
    shutil.copytree(SAMPLE, made / "data" / "raw")
    about = {"format": "charloom-source", "version": 1, "source": "sample", "classes": list(AG_NEWS_CLASSES)}
    write_json(made / "data" / "raw" / "source.json", about)
    (made / "article.txt").write_text("Stocks rose on Monday.\nThe match ended in a draw.\n", encoding="utf-8")
    (made / "kaggle").mkdir()
    (made / "kaggle/test.csv").write_text("Class Index,Title,Description\n3,Stocks,They rose.\n", encoding="utf-8")
    (made / "corpora").mkdir()
    (made / "corpora" / "mine.csv").write_text("topic,body\nSea,The ship came late.\n", encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program `charloom` that runs this checkout with this Python."""
    program = tmp_path_factory.mktemp("bin") / "charloom"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from charloom.cli import main; main()" "$@"\n')
    program.chmod(0o755)
    return program.parent


def test_the_commands_are_found() -> None:
    assert {arguments[0] for pipeline in SHOWN for arguments in arguments_of(pipeline)} >= set(
        charloom.list_commands(click.Context(charloom))
    )
    assert 'charloom sample --prompt "Oil prices" --until-eos --temperature 0.6 -n 4' in RUN
    assert "charloom sample --until-eos -n 100 | charloom score -" in RUN
    assert "charloom data" in RUN


@pytest.mark.parametrize("pipeline", SHOWN)
def test_each_command_parses(pipeline: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for arguments in arguments_of(pipeline):
        parse(arguments)


@pytest.mark.parametrize("wrong", ["sample --no-such-option", "sampel", "score article.txt --temperature 1"])
def test_a_wrong_command_does_not_parse(wrong: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(click.UsageError):
        parse(shlex.split(wrong))


@pytest.mark.parametrize("pipeline", RUN)
def test_each_command_runs(pipeline: str, folder: Path, programs: Path) -> None:
    environment = clean_environment(PYTHONPATH=str(CHECKOUT / "src"))
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", pipeline],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_example_from_python_runs(folder: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(CHECKOUT / "src")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Oil prices")
