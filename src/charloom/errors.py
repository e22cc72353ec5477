"""The two kinds of failure that a user sees. `exit_with` turns them into exit codes, `say` and `warn` print one line.

Every command, stage and script starts with `exit_with`, so all of them treat text and failures in the same way.

Nothing that is printed here contains a secret, such as a password in an address.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

from charloom.secrets import without_secrets

NO_HOME = "/dev/null"  # nobody can make a folder there, so an error says which folder cannot be used

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
    _prepare_streams()
    _prepare_home()
    sys.excepthook = _show_bug
    logging.setLogRecordFactory(_record_without_secrets)  # libraries log the errors of servers, with their addresses
    try:
        main()
    except (Exception, KeyboardInterrupt) as error:
        known = _explain(error)
        if known is None:
            raise  # a bug shows its traceback
        message, code = known
        say(f"error: {message}", sys.stderr)
        sys.exit(code)
    sys.exit(0)


def _explain(error: BaseException) -> tuple[str, int] | None:
    """The message and the exit code of an error. None if the error is a bug."""
    match error:
        case CharloomError():
            return str(error), error.exit_code
        case KeyboardInterrupt():
            return "interrupted", 130
        case OSError() if error.filename is not None or error.strerror is not None:  # the operating system raised it
            return f"{error.filename or 'input/output'}: {error.strerror}", 1
        case UnicodeEncodeError() if error.encoding != "utf-8":
            encoding = f"the encoding of this process, {error.encoding}"
            return f"{error.object!r} has characters that {encoding}, lacks; set PYTHONUTF8=1", 2
        case MemoryError() | RuntimeError() if is_out_of_memory(error):
            return (
                "out of memory; close other programs, or use the CPU if the memory of the GPU is full (--device cpu)",
                1,
            )
    return None


def _prepare_streams() -> None:
    """Let stdout and stderr print the escape of each character that their encoding lacks. By default, Python fails.

    A stream that the caller has closed, as with `>&-`, is None. It is replaced by one that drops what is printed.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _prepare_home() -> None:
    """Name a home folder, if this user has none. Otherwise MLflow, for example, fails when it is imported.

    In a container, a user can be a number without a name and a home folder.
    """
    if os.path.expanduser("~") == "~":  # noqa: PTH111 - Path.expanduser raises an error instead
        os.environ["HOME"] = NO_HOME


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be allocated. On a CPU, torch raises a plain RuntimeError for this."""
    words = "out of memory", "can't allocate memory"
    return isinstance(error, MemoryError) or any(each in str(error) for each in words)


def say(message: str, file: IO[str] | None = None) -> None:
    """Print a message as one line, to stdout if no file is given. Control characters are escaped."""
    line = " ".join(without_secrets(message).split())
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    print(f"{shown}\n", end="", file=file, flush=True)  # one write, so that lines of several threads do not mix


def warn(message: str) -> None:
    """Print a warning to stderr, as one line."""
    say(f"warning: {message}", sys.stderr)


def _show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(without_secrets("".join(traceback.format_exception(kind, error, trace))))


def _record_without_secrets(*arguments: Any, **named: Any) -> logging.LogRecord:
    record = _make_record(*arguments, **named)
    with suppress(TypeError, ValueError):  # a library may log a message that does not fit its arguments
        record.msg, record.args = without_secrets(record.getMessage()), ()
    return record
