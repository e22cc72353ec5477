"""Facts about the MLflow store. Nothing is written to it: a file is only read, and a server is only asked."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.doctor.facts import Fact, ok, warning
from charloom.errors import InputError
from charloom.params import TrackingParams
from charloom.tracking.address import sqlite_uri, store_address

if TYPE_CHECKING:
    from charloom.tracking.store import Store

LATER = "no result is lost, and `charloom publish` sends the results later"
REVISION = re.compile(r'^revision = "(\w+)"', re.MULTILINE)
DOWN_REVISION = re.compile(r'^down_revision = "(\w+)"', re.MULTILINE)


def check_store(params: TrackingParams) -> Fact:
    """Whether the store of MLflow can be reached and written, and whether its tables are those of this MLflow."""
    if not params.enabled:
        return ok("MLflow", "tracking.enabled is false")
    try:
        uri, database = store_address()
    except InputError as error:
        return warning("MLflow", str(error), LATER)
    return check_server(params, uri) if database is None else check_database(database, params.timeout)


def check_database(path: Path, timeout_s: float) -> Fact:
    """A store in SQLite. If the file does not exist, the first training will make it."""
    writable = [path.parent, *([path] if path.exists() else [])]
    if locked := [each for each in writable if not os.access(each, os.W_OK)]:
        return warning("MLflow", f"{locked[-1]} is not writable", f"change its owner or mode; {LATER}")
    if not path.exists():
        return ok("MLflow", f"{path} does not exist yet; the first training makes it")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", timeout=timeout_s, uri=True)) as connection:
            found = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.Error as error:
        return warning("MLflow", f"{path}: {error}", f"name another store with MLFLOW_TRACKING_URI; {LATER}")
    if found != [expected := latest_revision()]:
        remedy = f"copy the file and run `mlflow db upgrade {shlex.quote(sqlite_uri(path))}`; {LATER}"
        return warning("MLflow", f"{path} has the tables of another MLflow ({found} instead of {expected})", remedy)
    return ok("MLflow", f"{path} is writable, and its tables are those of this MLflow")


def latest_revision() -> str:
    """The version of the tables that the installed MLflow needs.

    MLflow has a file for each version, which names the version before. The latest is the one that no other file names.
    """
    package = find_spec("mlflow")  # does not import MLflow
    assert package
    assert package.origin
    folder = Path(package.origin).parent / "store" / "db_migrations" / "versions"
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    [latest] = set(REVISION.findall(text)) - set(DOWN_REVISION.findall(text))
    return latest


def check_server(params: TrackingParams, uri: str) -> Fact:
    """A store that is not a file: whether it answers, and whether it lets this user write."""
    from charloom.tracking.store import Store, on_failure

    failures: list[str] = []
    store = None
    with on_failure(failures.append):
        store = Store.read(params)
        if store:
            check_writable(store)
    if failures:
        remedy = f"start the server or correct MLFLOW_TRACKING_URI and its password; {LATER}"
        return warning("MLflow", f"{uri}: {failures[0]}", remedy)
    if not store:
        return ok("MLflow", f"{uri} answers; the first training makes the experiment {params.experiment!r}")
    return ok("MLflow", f"{uri} answers, and the experiment {params.experiment!r} can be written")


def check_writable(store: Store) -> None:
    """Raise what MLflow raises if this user may not write to the experiment.

    To delete a tag that does not exist needs the permission to write, and changes nothing. A server that permits it
    answers that there is no such tag.
    """
    try:
        store.client.delete_experiment_tag(store.experiment_id, "charloom.doctor")
    except Exception as error:
        if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
            raise
