"""`charloom sample`: what it writes to a pipe and to a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Charloom
from tests.conftest import CHECKOUT

COMMAND = "from charloom.cli import main; main()"


def test_text_i_does_not_depend_on_the_other_texts_of_the_call(charloom: Charloom) -> None:
    together = [json.loads(line) for line in charloom("sample", "-n", 3, "--length", 60, "--json").out.splitlines()]
    assert [text["number"] for text in together] == [0, 1, 2]
    assert {len(text["text"]) for text in together} == {60}
    assert len({text["text"] for text in together}) == 3
    for text in together:
        (alone,) = charloom("sample", "--first", text["number"], "--length", 60, "--json").out.splitlines()
        assert json.loads(alone) == text


def test_another_seed_gives_another_text(charloom: Charloom) -> None:
    first, again, other = (charloom("sample", "--seed", seed, "--length", 50).out for seed in (1, 1, 2))
    assert first == again != other


def test_each_text_begins_with_the_prompt(charloom: Charloom) -> None:
    ended = charloom("sample", "-n", 2, "--length", 20, "--prompt", "Stocks ", "--temperature", 0.01)
    assert ended.err == ""
    assert ended.out.count("Stocks ") == 2
    assert ended.out.startswith("Stocks ")
    assert ended.out.endswith("\n")


def test_a_warning_names_the_unknown_characters_of_a_prompt(charloom: Charloom) -> None:
    ended = charloom("sample", "--length", 5, "--prompt", "日 é日")
    assert ended.code == 0
    assert ended.err == (
        "warning: --prompt: some characters are not in the vocabulary and are read as <unk>: '日' (2), 'é' (1)\n"
    )
    assert ended.out.startswith("日 é日")


def test_a_prompt_is_normalized_as_the_models_corpus_was(charloom: Charloom, composed_folder: Path) -> None:
    composed, decomposed = (
        charloom("sample", "--length", 5, "--prompt", prompt, model=composed_folder)
        for prompt in ("caf\u00e9", "cafe\u0301")
    )
    assert composed == decomposed
    assert composed.err == ""
    assert composed.out.startswith("caf\u00e9")


def test_control_characters_are_written_as_escapes(charloom: Charloom) -> None:
    ended = charloom("sample", "--length", 5, "--prompt", "\x1b[2J\x9b")
    assert ended.out.startswith(r"\x1b[2J\x9b")
    assert "\x1b" not in ended.out + ended.err


def test_at_temperature_0_one_text_is_written(charloom: Charloom) -> None:
    ended = charloom("sample", "-n", 5, "--temperature", 0, "--length", 30)
    assert ended.err == "warning: at temperature 0 all texts are the same, so only one is written\n"
    assert ended.out.count("\n") <= 2
    assert ended.out == charloom("sample", "--temperature", 0, "--length", 30, "--seed", 9).out


def test_score_reads_articles_that_sample_wrote(charloom: Charloom) -> None:
    written = charloom("sample", "-n", 5, "--until-eos", "--temperature", 2)
    assert written.out.count("\n") == 5
    scored = charloom("score", "-", "--json", stdin=written.out.encode())
    assert json.loads(scored.out)["texts"] == sum(1 for line in written.out.splitlines() if line.strip())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--temperature", "-1"), "temperature = -1.0: must be from 0 (greedy) to 100"),
        (("--temperature", "nan"), "temperature = nan: must be from 0 (greedy) to 100"),
        (("--top-k", "0"), "top-k = 0: must be 1 or more"),
        (("--top-p", "1.5"), "top-p = 1.5: must be above 0, and 1 at most"),
        (("--length", "0"), "length = 0: must be 1 or more"),
        (("--seed", "-1"), "seed = -1: must be from 0 to 2^63 - 1"),
    ],
)
def test_a_value_out_of_range_is_an_error_of_one_line(
    charloom: Charloom, arguments: tuple[str, ...], complaint: str
) -> None:
    assert charloom("sample", *arguments) == (2, "", f"error: {complaint}\n")


def start_on_terminal(model_folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    """Start `charloom sample` on a new terminal. Returns the process, and a descriptor that reads the terminal."""
    shown, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "sample", "--model", str(model_folder), *arguments],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(terminal)
    return process, shown


def test_a_terminal_shows_characters_at_once_and_ctrl_c_exits_with_130(model_folder: Path) -> None:
    process, shown = start_on_terminal(model_folder, "--length", "100000000")
    with process:
        assert os.read(shown, 1)  # the text is far from complete
        process.send_signal(signal.SIGINT)
        while process.poll() is None:  # if nobody read the terminal, it would fill up and block the process
            try:
                os.read(shown, 1 << 16)
            except OSError:  # the process has closed the terminal
                break
        _, err = process.communicate(timeout=30)
    os.close(shown)
    assert (process.returncode, err) == (130, "\nerror: interrupted\n")


def test_a_pipe_that_closes_early_causes_no_traceback(model_folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "sample", "--model", str(model_folder), "--length", "100000"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_each_class_has_its_own_texts_which_a_seed_repeats(charloom: Charloom, conditioned_folder: Path) -> None:
    def texts(*arguments: object) -> list[str]:
        lines = charloom("sample", "--json", "--length", 40, *arguments, model=conditioned_folder).out.splitlines()
        return [json.loads(line)["text"] for line in lines]

    assert texts("--class", "Sports", "-n", 2) == texts("--class", "Sports", "-n", 2)
    assert texts("--class", "Sports", "-n", 2)[1:] == texts("--class", "Sports", "--first", 1)
    assert len({*texts("--class", "Sports"), *texts("--class", "World"), *texts()}) == 3


def test_an_unknown_class_is_an_error_that_lists_the_classes(charloom: Charloom, conditioned_folder: Path) -> None:
    ended = charloom("sample", "--class", "sport", model=conditioned_folder)
    assert (ended.code, ended.out) == (2, "")
    assert "class 'sport': must be one of World, Sports, Business, Sci/Tech" in ended.err
    assert (
        "this model has no classes; train one with model.conditioning: class"
        in charloom("sample", "--class", "Sports").err
    )
