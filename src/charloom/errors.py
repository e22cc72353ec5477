"""The two kinds of failure that a user sees, and the one place that turns them into an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn


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


def _complain(message: str) -> None:
    line = " ".join(message.split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)  # no terminal sequence out of a file
    print(f"error: {shown}", file=sys.stderr, flush=True)
