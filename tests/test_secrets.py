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
    "author=Poe&authority=x&authenticated=1",
    "passage=2 passes=3 compass=N no_proxy_bypass=1 passenger=x",
    "design=a assign=b signal=c sigma=2",
    "status_code=500 encode=1 codec=utf-8 zipcode=1",
    "keyboard=us keywords=a secretary=b tokens=5 tokenizer=c sessions=3",
    "CREDO=1 ticketing=2 Tokenizer=x Author=y",
]
SECRET_NAMES = """
pass PASS db_pass dbpass PGPASSWORD password Password passwd passphrase sslpassword pwd PWD
token Token access_token accessToken auth-token X-Amz-Security-Token
secret client_secret clientSecret aws_secret_access_key
sig X-Amz-Signature X-Goog-Signature key api_key apikey APIKey x-api-key AccountKey AWSAccessKeyId accesskeyid
auth oauth basic_auth Authorization cred creds credentials X-Amz-Credential
code session sessionid session_id PHPSESSID JSESSIONID jwt hmac ticket odbc_connect
"""


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


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_the_value_of_a_secret_setting_is_hidden(name: str) -> None:
    assert without_secrets(f"https://host/x?{name}={MARK}&v=1") == f"https://host/x?{name}=***&v=1"
    assert MARK not in without_secrets(f"mssql:///?author=me;{name}={MARK}")


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
