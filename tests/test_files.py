from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from charloom.errors import InputError
from charloom.files import (
    atomic_path,
    file_digest,
    flatten,
    main_checkout,
    not_utf8,
    read_json,
    user_path,
    value_digest,
    write_csv,
    write_json,
    write_text,
)
from tests.conftest import Run, Start, line_of

HOLD = """
import sys
from pathlib import Path
from charloom.files import exclusive
with exclusive(Path("locks/a.lock"), "the test"):
    print("held")
    sys.stdin.read()
"""

WRITE_AND_WAIT = """
import sys
from pathlib import Path
from charloom.files import atomic_path
with atomic_path(Path("a.txt")) as temporary:
    temporary.write_text("half")
    print("written")
    sys.stdin.read()
"""


def test_atomic_path_creates_folders_and_leaves_only_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_path_keeps_the_old_file_if_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_path_keeps_the_old_file_if_the_process_is_killed(start_python: Start, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    process = start_python(WRITE_AND_WAIT)
    assert line_of(process.stdout) == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    assert path.read_text() == "old"


def test_write_text_writes_utf8_with_unix_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n"


def test_write_json_gives_the_same_bytes_for_the_same_value(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": {"é": True}}
    write_json(tmp_path / "1.json", value)
    write_json(tmp_path / "2.json", json.loads(json.dumps(value)))
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    assert "é" in (tmp_path / "1.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "1.json").read_bytes()) == value


def test_write_json_rejects_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_write_csv_writes_a_header_and_quotes_only_if_needed(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["step", "text"], [(1, 'a "b", c'), (2, None)])
    assert (tmp_path / "a.csv").read_bytes() == b'step,text\n1,"a ""b"", c"\n2,\n'


def test_read_json_returns_what_write_json_wrote(tmp_path: Path) -> None:
    value = {"format": "thing", "version": 1, "x": [1, "é"]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", kind="thing", version=1) == value


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "not readable as JSON"),
        (b'{"format": "thing", ', "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
        (b'{"a": ' * 100_000, "not readable as JSON"),
        (b"1" * 5000, "not readable as JSON"),
        (b"[1]", "expected thing, found other JSON"),
        (b"null", "expected thing, found other JSON"),
        (b'{"version": 1}', "expected thing, found other JSON"),
        (b'{"format": "other", "version": 1}', "expected thing of format version 1, found 'other' of version 1"),
        (b'{"format": "thing", "version": 2}', "expected thing of format version 1, found 'thing' of version 2"),
        (b'{"format": "thing"}', "found 'thing' of version None"),
        (b'{"format": ["thing"], "version": {}}', "found ['thing'] of version {}"),
    ],
)
def test_read_json_names_the_wrong_file_and_the_reason(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path, kind="thing", version=1)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_read_json_of_a_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not readable as JSON"):
        read_json(tmp_path, kind="thing", version=1)


def test_not_utf8_names_the_place_the_byte_and_the_remedy() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"ab\xff".decode("utf-8")
    assert str(not_utf8("a.txt:3", caught.value, 10)) == (
        "a.txt:3: byte 12 (0xff) is not UTF-8; convert the text to UTF-8"
    )
    assert str(not_utf8("a.txt", caught.value, remedy="try")) == "a.txt: byte 2 (0xff) is not UTF-8; try"


def test_flatten_joins_the_keys_of_nested_mappings() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": [3]}) == {"a.b": 1, "a.c.d": 2, "e": [3]}
    assert flatten({"a": {"b": 1}}, separator="/") == {"a/b": 1}


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, (1 << 20) + 1])
def test_file_digest_covers_all_bytes(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"x" * size).hexdigest()
    assert file_digest(tmp_path / "a", "md5") == hashlib.md5(b"x" * size, usedforsecurity=False).hexdigest()


def test_value_digest_ignores_only_the_order_of_keys() -> None:
    assert value_digest({"a": 1, "b": {"c": 2, "d": 3}}) == value_digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert value_digest({"a": [1, 2]}) != value_digest({"a": [2, 1]})
    assert value_digest({"a": 1}) != value_digest({"a": "1"})


def test_a_second_process_names_the_holder_of_the_lock_and_waits(
    start_python: Start, run_python: Run, tmp_path: Path
) -> None:
    hold = HOLD + '    Path("log").open("a").write("out ")'
    run_python(hold)  # the process id of this earlier holder must not stay in the lock file
    first = start_python(hold)
    assert line_of(first.stdout) == "held\n"
    second = start_python(HOLD.replace('print("held")', 'print(Path("log").read_text())'))
    assert line_of(second.stdout) == f"waiting for process {first.pid}: it is using the test\n"
    time.sleep(0.2)  # if the second process did not wait, it would read the log now
    assert first.communicate(timeout=10) == ("", "")
    assert line_of(second.stdout) == "out out \n"


def test_the_locked_file_has_no_text(tmp_path: Path, start_python: Start) -> None:
    """On Windows, no other process can read a locked file. So the id of the process is in another file."""
    holder = start_python(HOLD)
    assert line_of(holder.stdout) == "held\n"
    assert (tmp_path / "locks/a.lock").read_bytes() == b""
    assert (tmp_path / "locks/a.pid").read_text() == str(holder.pid)


def test_the_lock_is_free_after_its_holder_is_killed(start_python: Start, run_python: Run) -> None:
    holder = start_python(HOLD)
    assert line_of(holder.stdout) == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=10)
    assert run_python(HOLD).stdout == "held\n"


def test_the_lock_is_free_after_its_block_fails(run_python: Run) -> None:
    assert run_python(HOLD.replace("sys.stdin.read()", "raise ZeroDivisionError")).returncode == 1
    assert run_python(HOLD).stdout == "held\n"


def test_main_checkout_is_dvc_root_or_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert main_checkout() == tmp_path.resolve()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main" / ".." / "other"))
    assert main_checkout() == Path(os.path.realpath(tmp_path / "other"))


@pytest.mark.parametrize(
    ("written", "place"), [("~", "home"), ("~/a", "home/a"), ("~draft.txt", "root/~draft.txt"), ("a/~", "root/a/~")]
)
def test_the_path_of_a_user_starts_at_the_root_or_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_path(written, tmp_path / "root") == tmp_path / place
    assert user_path("/etc/passwd", tmp_path) == Path("/etc/passwd")
