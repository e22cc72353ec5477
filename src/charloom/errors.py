"""The two kinds of failure that a user sees. `exit_with` turns them into exit codes, `say` prints one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, NoReturn


class CharloomError(Exception):
    """A failure that the user sees. Its message is one line: what is wrong, where, and what to do."""

    exit_code = 1


class InputError(CharloomError):
    """The user's parameters, files or arguments are wrong. Running again without a change fails again."""

    exit_code = 2


class RunError(CharloomError):
    """The run failed, for example: no network, a full disk, a loss that is not finite. Running again may succeed."""


def exit_with(main: Callable[[], None]) -> NoReturn:
    """Run `main` and end the process. Exit codes: 0 success, 1 failure, 2 wrong input, 130 interrupted."""
    try:
        main()
    except CharloomError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("interrupted")
        sys.exit(130)
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise  # the operating system did not raise this error: it is a bug, and a bug shows its traceback
        _complain(f"{error.filename or 'input/output'}: {error.strerror}")
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _complain("out of memory; close other programs, or use the CPU if the memory of the GPU is full (--device cpu)")
        sys.exit(1)
    sys.exit(0)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory could not be allocated. On a CPU, torch raises a plain RuntimeError for this."""
    words = "out of memory", "can't allocate memory"
    return isinstance(error, MemoryError) or any(each in str(error) for each in words)


def say(message: str, file: IO[str] | None = None) -> None:
    """Print a message as one line, to stdout if no file is given. Control characters are escaped."""
    line = " ".join(message.split())
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    print(f"{shown}\n", end="", file=file, flush=True)  # one write, so that lines of several threads do not mix


def _complain(message: str) -> None:
    say(f"error: {message}", sys.stderr)
