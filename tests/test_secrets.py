"""What is secret in an address, in every form that charloom's users give addresses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charloom.errors import InputError
from charloom.secrets import with_no_secrets, without_secrets
from tests.conftest import Run
from tests.param_files import reject

MARK = "Xs3cretX"
PUBLIC = [
    "http://host:8080/a@b.csv",
    "https://host/x.csv?version=2&download=true",
    "sqlite:////home/me/mlflow.db",
    "s3://bucket/folder/*.txt",
    "http://[::1]:8080/a@b",
    "lines of code: x = 1, train_loss 2.0, //comment, me@example.org",
]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"http://alice:{MARK}@host:5000/x.txt", "http://host:5000/x.txt"),
        (f"https://{MARK}@host/x.txt", "https://host/x.txt"),
        (f"https://alice:p@{MARK}@host/x.txt", "https://host/x.txt"),
        (f"postgresql+psycopg2://alice:a/{MARK}@host/mlflow", "postgresql+psycopg2://host/mlflow"),
        (f"postgresql://host/mlflow?password={MARK}", "postgresql://host/mlflow?password=***"),
        (f"mssql+pyodbc:///?odbc_connect=UID=a;PWD={MARK}", "mssql+pyodbc:///?odbc_connect=***"),
        (f"ftp://alice:{MARK}@host/x.csv", "ftp://host/x.csv"),
        (f"s3://AKIA1:{MARK}@bucket/x.csv", "s3://bucket/x.csv"),
        (f"zip://*.csv::https://a:{MARK}@host/x.zip", "zip://*.csv::https://host/x.zip"),
        (f"https://host/x?v=1&token={MARK}&w=2", "https://host/x?v=1&token=***&w=2"),
        (f"https://host/x?sv=1&sig={MARK}%2F", "https://host/x?sv=1&sig=***"),
        (f"https://host/x?X-Amz-Signature={MARK}", "https://host/x?X-Amz-Signature=***"),
        (f"https://host/x?X-Amz-Security-Token={MARK}", "https://host/x?X-Amz-Security-Token=***"),
        (f"https://host/x?AWSAccessKeyId={MARK}", "https://host/x?AWSAccessKeyId=***"),
        (f"https://host/x#access_token={MARK}", "https://host/x#access_token=***"),
        (f"aws_secret_access_key={MARK} region=eu", "aws_secret_access_key=*** region=eu"),
        (f"two http://a:{MARK}@h/ and http://b:{MARK}@i/", "two http://h/ and http://i/"),
        *((text, text) for text in PUBLIC),
    ],
)
def test_passwords_tokens_and_signatures_are_removed_and_the_rest_stays(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
    assert with_no_secrets({"a": [address, 1, None]}) == {"a": [shown, 1, None]}


ADDRESS = f"http://alice:{MARK}@host/x?token={MARK}"
RAISE = f"""
import logging
from charloom.errors import InputError, exit_with, say
def main():
    say("{ADDRESS}")
    logging.getLogger("library").warning("at %s", "{ADDRESS}")
    {{statement}}
exit_with(main)
"""


@pytest.mark.parametrize(
    "statement",
    [f"raise InputError({ADDRESS!r})", f"raise ValueError({ADDRESS!r})", f"open({ADDRESS!r})"],
)
def test_no_output_of_a_process_shows_a_secret(run_python: Run, statement: str) -> None:
    done = run_python(RAISE.format(statement=statement))
    assert done.returncode
    assert "http://host/x?token=***" in done.stdout
    assert "at http://host/x?token=***" in done.stderr
    assert MARK not in done.stdout
    # a traceback also shows the line of the program, but not the message
    shown = [line for line in done.stderr.splitlines() if "raise ValueError" not in line]
    assert MARK not in json.dumps(shown)


def test_a_message_that_is_cut_shows_no_half_of_a_password(tmp_path: Path) -> None:
    assert MARK[:4] not in reject(tmp_path, f"data: 'http://alice:{MARK}{'x' * 90}@host'")
    assert MARK not in str(InputError(ADDRESS))
