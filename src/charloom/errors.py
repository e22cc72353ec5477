"""The two kinds of failure that a user sees, the one place that turns them into an exit code, and how both are said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, NoReturn


class CharloomError(Exception):
    """A failure whose message is one line for the user: what is wrong, where, and what to do."""

    exit_code = 1


class InputError(CharloomError):
    """The user's parameters, files or arguments are wrong; running again unchanged cannot help."""

    exit_code = 2


class RunError(CharloomError):
    """The run failed: no network, no space, a loss that is not finite."""


def exit_with(main: Callable[[], None]) -> NoReturn:
    """Run `main` and leave the process: 0 done, 1 failed, 2 bad input, 130 interrupted."""
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
            raise
        _complain(f"{error.filename or 'input/output'}: {error.strerror}")
        sys.exit(1)
    sys.exit(0)


def say(message: str, file: IO[str] | None = None) -> None:
    """Print a message in one line, to stdout where no file is given; a terminal obeys nothing that stands in it."""
    line = " ".join(message.split())
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    print(f"{shown}\n", end="", file=file, flush=True)  # in one write: another thread's line may not come between


def _complain(message: str) -> None:
    say(f"error: {message}", sys.stderr)
