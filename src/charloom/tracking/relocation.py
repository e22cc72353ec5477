"""Corrects the addresses of artefacts after a SQLite store and its artefacts were moved or copied to another folder.

MLflow stores absolute addresses, even if it was given a relative one. Neither MLflow's interfaces nor its command line
can change an address later. So this module changes the addresses in MLflow's tables.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from charloom.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NAME = "mlartifacts"  # of the folder
# The tables and columns with the address of the folder of a run or a model
COLUMNS = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def artifacts_of(database: Path) -> Path:
    """The folder with the artefacts of a SQLite store. It is next to the file, so that users move both together."""
    return database.with_name(NAME)


def local_path(address: str) -> Path | None:
    """The path of a file or folder whose address begins with `file:`. None for other addresses."""
    parts = urlsplit(address)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def follow(database: Path) -> None:
    """If a SQLite store was moved or copied here, correct the addresses of its artefacts.

    New runs get their artefacts in the folder next to `database`. The address of an old run or model changes only if
    the folder of the run or model is there. If the file cannot be written or is not a database of MLflow, this function
    does nothing, because MLflow will give the reason.
    """
    here = artifacts_of(database)
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection, connection:
        for (address,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall():
            if _was_moved(local_path(address), here):
                _replace(connection, "experiments", "artifact_location", address, here.as_uri())
        for table, column in COLUMNS:
            elsewhere = f"SELECT DISTINCT {column} FROM {table} WHERE {column} LIKE ? AND substr({column}, 1, ?) != ?"
            beginning = f"{here.as_uri()}/"
            found = connection.execute(elsewhere, (f"file:%/{NAME}/%", len(beginning), beginning))
            for (address,) in found.fetchall():
                moved = beginning + address.rpartition(f"/{NAME}/")[2]
                folder = local_path(moved)
                if folder and folder.exists():
                    _replace(connection, table, column, address, moved)


def check_files(client: MlflowClient, run: Run) -> None:
    """Raise InputError if MLflow has no files of a run."""
    if not client.list_artifacts(run.info.run_id):
        where = local_path(run.info.artifact_uri) or run.info.artifact_uri
        raise InputError(
            f"run {run.info.run_id[:8]}: its files are missing, and MLflow expects them in {where}; if you moved"
            f" mlflow.db, move the folder {NAME} next to mlflow.db; otherwise put the files back there"
        )


def _was_moved(before: Path | None, here: Path) -> bool:
    """Whether the folder of artefacts `before` was moved or copied to the folder `here`.

    If only the file of the store was copied, the artefacts are in the old folder, and the new folder does not exist.
    """
    if before is None or before.name != NAME or before.resolve() == here.resolve():
        return False
    return here.exists() or not before.exists()


def _replace(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))
