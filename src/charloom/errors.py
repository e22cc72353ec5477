"""The two kinds of failure that a user sees. `exit_with` turns them into exit codes, `say` prints one line.

Nothing that is printed here contains a secret, such as a password in an address.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, NoReturn

from charloom.secrets import without_secrets

_make_record = logging.getLogRecordFactory()


class CharloomError(Exception):
    """A failure that the user sees. Its message is one line: what is wrong, where, and what to do."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class InputError(CharloomError):
    """The user's parameters, files or arguments are wrong. Running again without a change fails again."""

    exit_code = 2


class RunError(CharloomError):
    """The run failed, for example: no network, a full disk, a loss that is not finite. Running again may succeed."""


def exit_with(main: Callable[[], None]) -> NoReturn:
    """Run `main` and end the process. Exit codes: 0 success, 1 failure, 2 wrong input, 130 interrupted."""
    sys.excepthook = _show_bug
    logging.setLogRecordFactory(_record_without_secrets)  # libraries log the errors of servers, with their addresses
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
    line = " ".join(without_secrets(message).split())
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    print(f"{shown}\n", end="", file=file, flush=True)  # one write, so that lines of several threads do not mix


def _show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(without_secrets("".join(traceback.format_exception(kind, error, trace))))


def _record_without_secrets(*arguments: Any, **named: Any) -> logging.LogRecord:
    record = _make_record(*arguments, **named)
    with suppress(TypeError, ValueError):  # a library may log a message that does not fit its arguments
        record.msg, record.args = without_secrets(record.getMessage()), ()
    return record


def _complain(message: str) -> None:
    say(f"error: {message}", sys.stderr)
