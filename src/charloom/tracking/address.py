"""The address of the MLflow store: a server, or the file of a SQLite store."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from charloom.errors import InputError
from charloom.files import main_checkout

VARIABLE = "MLFLOW_TRACKING_URI"
PLAIN = "sqlite:///"
# MLflow opens SQLite files with SQLAlchemy, which percent-decodes addresses. MLflow also makes the folder of the file,
# but does not decode the folder's name. If an address begins as follows, MLflow does not make a folder.
ENCODED = "sqlite+pysqlite:///"
# The beginning of an address, a path, and options such as `?timeout=30`. A `?` that is not followed by name=value
# belongs to the path.
_SQLITE = re.compile(r"(sqlite(?:\+pysqlite)?:///?)(.*?)((?:\?\w+=[^/?]*)?)", re.DOTALL)


class Address(NamedTuple):
    """Where the MLflow store is."""

    uri: str  # for MLflow
    database: Path | None  # the file of a SQLite store; None if the store is a server


def store_address() -> Address:
    """The store that MLFLOW_TRACKING_URI names. If the variable is not set, the file mlflow.db in the main checkout.

    A relative SQLite path starts in the main checkout. A path is taken literally, unless the address begins like
    ENCODED. Raises InputError if the address names no file, so that SQLite would keep the store in memory.
    """
    stated = os.environ.get(VARIABLE) or f"{PLAIN}mlflow.db"
    found = _SQLITE.fullmatch(stated)
    if not found:
        return Address(stated, None)
    beginning, path, options = found.groups()
    if beginning not in (PLAIN, ENCODED) or path == "" or path.endswith(":memory:") or "mode=memory" in options:
        raise InputError(
            f"{VARIABLE} = {stated!r}: this address names no file, so SQLite would lose every run; set the variable to"
            f" {PLAIN}FILE, or unset it to use mlflow.db"
        )
    if path.startswith("file:"):  # a URI of SQLite
        return Address(stated, None)
    database = main_checkout() / (unquote(path) if beginning == ENCODED else path)
    return Address(f"{sqlite_uri(database)}{options}", database)


def sqlite_uri(database: Path) -> str:
    """The address of a SQLite file for MLflow. It is encoded only if necessary, because people read it."""
    path = str(database)
    return f"{ENCODED}{quote(path)}" if re.search("[?%]", path) else f"{PLAIN}{path}"
