"""Reads the class in a cell of a table, in the same way for all formats of files."""

from __future__ import annotations

import re
from decimal import Decimal

_WHOLE_FLOAT = re.compile(r"([-+]?\d+)\.0+")


def class_name(cell: object) -> str | None:
    """The name of the class in a cell. "" if the cell names no class, and None if its type cannot be a class.

    White space around the name does not count. The float 3.0 names the class "3", because pandas turns the number 3
    into 3.0 if another cell of the column is empty. True and false are "true" and "false". An empty cell, a null and
    NaN name no class.
    """
    if not (cell is None or isinstance(cell, (str, int, float, Decimal))):
        return None
    name = "" if cell is None else str(cell).strip()
    if whole := _WHOLE_FLOAT.fullmatch(name):
        return whole[1]
    if name in ("nan", "NaN"):
        return ""
    return name.lower() if name.lower() in ("true", "false") else name
