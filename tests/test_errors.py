from __future__ import annotations

import signal

import pytest

from tests.conftest import Run, Start, line_of

OUT_OF_MEMORY = (
    "error: out of memory; close other programs, or use the CPU if the memory of the GPU is full (--device cpu)\n"
)
# A locale without UTF-8, in which Python does not use UTF-8 by itself
IN_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
RAISE = """
from charloom.errors import CharloomError, InputError, RunError, exit_with
def main():
    {statement}
exit_with(main)
"""
CLOSE = """
import os, sys
os.close(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2]])
"""
WRITE = """
import sys
from charloom.errors import exit_with
exit_with(lambda: print("out", end="", flush=sys.stdout.isatty()) or print("err", end="", file=sys.stderr))
"""


@pytest.mark.parametrize(
    ("statement", "code", "line"),
    [
        ("raise InputError('params.yaml: seed is missing')", 2, "error: params.yaml: seed is missing\n"),
        ("raise RunError('the loss is not finite')", 1, "error: the loss is not finite\n"),
        ("raise CharloomError('no')", 1, "error: no\n"),
        ("raise KeyboardInterrupt", 130, "error: interrupted\n"),
        ("open('nowhere/file')", 1, "error: nowhere/file: No such file or directory\n"),
        ("raise OSError(28, 'No space left on device')", 1, "error: input/output: No space left on device\n"),
        ("raise MemoryError", 1, OUT_OF_MEMORY),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')", 1, OUT_OF_MEMORY),
        ("import torch; torch.empty(2**60, dtype=torch.uint8)", 1, OUT_OF_MEMORY),
        ("pass", 0, ""),
    ],
)
def test_each_failure_has_its_exit_code_and_prints_one_line_to_stderr(
    run_python: Run, statement: str, code: int, line: str
) -> None:
    done = run_python(RAISE.format(statement=statement))
    assert (done.returncode, done.stderr, done.stdout) == (code, line, "")


def test_ctrl_c_exits_with_130_and_prints_one_line(start_python: Start) -> None:
    process = start_python(RAISE.format(statement="import time; print('ready'); time.sleep(60)"))
    assert line_of(process.stdout) == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "error: interrupted\n")


def test_a_message_of_several_lines_is_printed_as_one_line(run_python: Run) -> None:
    done = run_python(RAISE.format(statement=r"raise InputError('  first\n\n  second\r\n\tthird ')"))
    assert done.stderr == "error: first second third\n"


def test_control_characters_in_a_message_are_escaped(run_python: Run) -> None:
    done = run_python(RAISE.format(statement=r"raise InputError('key \x1b[31m red é')"))
    assert done.stderr == "error: key \\x1b[31m red é\n"


@pytest.mark.parametrize("statement", ["raise ValueError('a bug')", "raise OSError('without a number')"])
def test_a_bug_keeps_its_traceback(run_python: Run, statement: str) -> None:
    done = run_python(RAISE.format(statement=statement))
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_a_character_that_a_stream_lacks_is_printed_as_an_escape(
    run_python: Run, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = run_python("from charloom.errors import exit_with, say\nexit_with(lambda: say('новости'))")
    shown = "новости" if encoding == "utf-8" else "".join(f"\\u{ord(char):04x}" for char in "новости")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{shown}\n", "")


@pytest.mark.parametrize("closed", [1, 2])
def test_a_stream_that_the_caller_has_closed_is_no_error(run_python: Run, closed: int) -> None:
    done = run_python(CLOSE, closed, WRITE)
    shown = ["out", "err"]
    shown[closed - 1] = ""
    assert (done.returncode, [done.stdout, done.stderr]) == (0, shown)


def test_a_file_name_that_the_locale_cannot_spell_is_one_line(run_python: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in IN_ASCII.items():
        monkeypatch.setenv(name, value)
    done = run_python(RAISE.format(statement=r"open('\u043d\u043e.txt')"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: '\\u043d\\u043e")
    assert done.stderr.endswith("has characters that the encoding of this process, ascii, lacks; set PYTHONUTF8=1\n")
