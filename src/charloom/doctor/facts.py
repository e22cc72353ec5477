"""A fact that the doctor found, with its mark."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from charloom.secrets import without_secrets
from charloom.terminal import on_one_line


class Mark(Enum):
    """How bad a fact is."""

    OK = "ok"
    WARNING = "warning"  # slower, or not as the user may expect
    FAULT = "fault"  # the trainings of the night would fail


class Fact(NamedTuple):
    """A fact about one subject. `remedy` says what to do, if something is wrong."""

    mark: Mark
    subject: str
    found: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The fact without its mark, as one line that is safe on a terminal and contains no secret."""
        text = f"{self.subject}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")
        return on_one_line(" ".join(without_secrets(text).split()))


def ok(subject: str, found: str) -> Fact:
    """A fact that is right."""
    return Fact(Mark.OK, subject, found)


def warning(subject: str, found: str, remedy: str) -> Fact:
    """A fact that costs time or an expectation, but not the night."""
    return Fact(Mark.WARNING, subject, found, remedy)


def fault(subject: str, found: str, remedy: str) -> Fact:
    """A fact with which the trainings of the night would fail."""
    return Fact(Mark.FAULT, subject, found, remedy)
