"""The files that data.source names, on this machine and on servers, plain and compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet
from pytest_httpserver import HTTPServer
from werkzeug import Response

from charloom.corpus.locations import open_files
from charloom.corpus.settings import TableColumns
from charloom.errors import InputError, RunError
from tests.faults.servers import serving

LINES = TableColumns(["text"], None, "line", "strict")
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".GZ": gzip.compress,
}


def texts(source: object, root: Path = Path("/nowhere")) -> dict[str, list[str]]:
    opened = open_files(str(source), root, LINES)
    return {split: [text for _, text in articles] for split, articles in opened.splits.items()}


def write(folder: Path, **files: str) -> Path:
    """Write files. In a name, `__` means a slash, and the last `_` means a dot: `mine__a_txt` is mine/a.txt."""
    for name, text in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system that is not on this machine, such as an object store."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def test_a_relative_file_folder_or_glob_starts_at_the_root(tmp_path: Path) -> None:
    write(tmp_path, mine__b_txt="b", mine__a_txt="a", mine__deep__c_txt="c", mine__README_md="no", other_txt="no")
    (tmp_path / "mine" / ".hidden.txt").write_text("no")
    assert texts("mine/a.txt", tmp_path) == {"all": ["a"]}
    assert texts("mine", tmp_path) == texts(tmp_path / "mine") == {"all": ["a", "b", "c"]}
    assert texts("mine/*.txt", tmp_path) == {"all": ["a", "b"]}
    assert texts("mine/**/[ac].txt", tmp_path) == {"all": ["a", "c"]}


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path: Path) -> None:
    (tmp_path / "a[1]*.txt").write_text("a")
    assert texts("a[1]*.txt", tmp_path) == {"all": ["a"]}


@pytest.mark.parametrize("name", ["[v1] run", "what?x", "all*", "a::b", "50%20 #é"])
def test_a_glob_works_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    root = write(tmp_path / name, mine__b_txt="b", mine__a_txt="a", mine__deep__c_txt="c")
    write(tmp_path, other__mine__a_txt="no")
    assert texts("mine/a.txt", root) == {"all": ["a"]}
    assert texts("mine", root) == {"all": ["a", "b", "c"]}
    assert texts("mine/[ab].txt", root) == texts("*/?.txt", root) == texts(root / "mine/*.txt") == {"all": ["a", "b"]}
    assert texts("**/*.txt", root) == texts("mine/**", root) == {"all": ["a", "b", "c"]}
    assert texts("../oth*/mine/*.txt", root) == {"all": ["no"]}
    for nothing in ("mine/x*.txt", "none/**", "mine/*/*/*.txt"):
        with pytest.raises(InputError, match="found nothing"):
            texts(nothing, root)


def test_a_folder_whose_name_looks_like_a_glob_is_taken_literally(tmp_path: Path) -> None:
    write(tmp_path, a__x_txt="no")
    write(tmp_path / "[a]", x_txt="yes")
    assert texts("[a]/*.txt", tmp_path) == {"all": ["yes"]}


@pytest.mark.parametrize(
    "files",
    [
        {"train_txt": "a", "test_txt": "b"},
        {"train__x_txt": "a", "test__y_txt": "b", "validation__z_txt": "c"},
        {"train-00000-of-00001_txt": "a", "test-00000-of-00001_txt": "b", "validation-00000-of-00001_txt": "c"},
        {"deep__Train1_txt": "a", "deep__TEST1_txt": "b", "LICENSE_txt": "c", "classes_csv": "d"},
    ],
)
def test_file_and_folder_names_decide_the_split(tmp_path: Path, files: dict[str, str]) -> None:
    assert texts(write(tmp_path, **files)) == {"train": ["a"], "test": ["b"]}


@pytest.mark.parametrize("other", ["testimony_txt", "retest_txt", "train2_txt"])
def test_without_files_for_both_splits_all_files_are_read(tmp_path: Path, other: str) -> None:
    write(tmp_path, train1_txt="a", **{other: "b"})
    assert sorted(texts(tmp_path)["all"]) == ["a", "b"]


@pytest.mark.parametrize("ending", PACKERS)
def test_a_file_is_unpacked_as_its_ending_says(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"mine.txt{ending}").write_bytes(PACKERS[ending](b"caf\xc3\xa9\nb\n"))
    assert texts(f"mine.txt{ending}", tmp_path) == {"all": ["caf\u00e9", "b"]}
    sink = io.BytesIO()
    parquet.write_table(pa.table({"text": ["a", "b"]}), sink)
    (tmp_path / f"mine.parquet{ending}").write_bytes(PACKERS[ending](sink.getvalue()))
    assert texts(f"mine.parquet{ending}", tmp_path) == {"all": ["a", "b"]}


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("damage", ["cut", "other", "flipped"])
def test_a_file_that_cannot_be_unpacked_is_reported(tmp_path: Path, ending: str, damage: str) -> None:
    whole = bytearray(PACKERS[ending](bytes(range(1, 128)) * 99))
    if damage == "flipped":
        whole[len(whole) // 2] ^= 255
    path = tmp_path / f"mine.txt{ending}"
    path.write_bytes({"cut": bytes(whole[:-9]), "other": b"plain text\n", "flipped": bytes(whole)}[damage])
    with pytest.raises(InputError) as caught:
        texts(path)
    assert str(caught.value).startswith(f"{path}: cannot be unpacked: ")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "text".encode("utf-16"), "this is text in UTF-16 with a byte order mark"),
        ("a.csv", "a,b\n".encode("utf-32-be"), "this is text in UTF-32BE, not in UTF-8"),
        (
            "a.jsonl",
            gzip.compress(b"{}", mtime=0),
            "this is compressed (gzip); rename the file so that its name ends in .gz",
        ),
        ("a.parquet", gzip.compress(b"PAR1", mtime=0), "this is compressed (gzip)"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "this is the pointer of git-lfs"),
        ("a.tsv", b"PK\x03\x04", "this is a ZIP archive; unpack it: `unzip OLD`"),
        ("a.txt", b"PAR1\x15", "this is a Parquet table; rename"),
        ("a.csv", b"\n<!DOCTYPE html>\n<html>", "this is a web page, not a .csv file; download the file itself"),
        ("a.parquet", b"<HTML>", "this is a web page"),
        ("a.txt.gz", gzip.compress(gzip.compress(b"text")), "this is compressed (gzip)"),
        ("a.txt.gz", gzip.compress("text".encode("utf-16")), "this is text in UTF-16"),
        ("a.txt.gz", lzma.compress(b"text"), "cannot be unpacked: it is compressed (xz); rename the file so that its"),
        ("a.txt.xz", b"PK\x03\x04", "cannot be unpacked: it is a ZIP archive; unpack it: `unzip OLD`"),
        ("a.txt.bz2", b"text", "cannot be unpacked: it is not compressed; remove the last ending of its name"),
    ],
)
@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_a_file_that_is_not_what_its_name_says_is_named_as_what_it_is(
    tmp_path: Path, name: str, content: bytes, says: str, errors: str
) -> None:
    (tmp_path / name).write_bytes(content)
    opened = open_files(name, tmp_path, TableColumns(["text"], None, "line", errors))
    with pytest.raises(InputError) as caught:
        list(opened.splits["all"])
    assert str(caught.value).startswith(f"{tmp_path / name}: {says}")


def test_files_of_two_formats_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contains \.csv and \.txt files; name files of one format"):
        texts(write(tmp_path, a_txt="a", b_csv="b"))


def test_a_source_without_files_is_rejected_with_the_allowed_sources(tmp_path: Path) -> None:
    for source in ("none", "none/*.txt"):
        with pytest.raises(InputError) as caught:
            texts(source, tmp_path)
        known = "ag_news, sample, torchtext:NAME, or a file, folder, glob or URL"
        assert str(caught.value) == (
            f"data.source = {source!r}: found nothing at {tmp_path}/{source}; data.source must be {known}"
        )


def test_a_folder_without_a_readable_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no file there ends in \.txt, \.csv, \.tsv, \.jsonl, \.parquet \(with or without \.gz"
    ):
        texts(write(tmp_path, README_md="a", archive_zip="b"))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nothing://a/b.txt", "Protocol not known: nothing"),
        ("mine/**x.txt", "Invalid pattern"),
        ("mine\0.txt", ".*embedded null (byte|character)"),
    ],
)
def test_an_invalid_path_is_rejected(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(InputError, match=rf"data\.source = '.*': {says}"):
        texts(source, tmp_path)


def test_files_of_another_machine_are_read_through_fsspec(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.pipe("/mine/train.txt.gz", gzip.compress(b"a\nb"))
    bucket.pipe("/mine/test.txt.gz", gzip.compress(b"c"))
    assert texts("memory://mine") == {"train": ["a", "b"], "test": ["c"]}
    assert texts("memory://mine/tr*.gz") == {"all": ["a", "b"]}
    sink = io.BytesIO()
    parquet.write_table(pa.table({"text": ["a"]}), sink)
    bucket.pipe("/mine.parquet", sink.getvalue())
    assert texts("memory://mine.parquet") == {"all": ["a"]}
    bucket.pipe("/bad.txt", b"\xff")
    with pytest.raises(InputError, match=r"memory:///?bad\.txt:1: byte 0"):
        texts("memory://bad.txt")


@pytest.mark.parametrize("ranges", [False, True])
def test_a_corpus_is_read_from_a_web_server(httpserver: HTTPServer, ranges: bool) -> None:
    body = b"".join(b"line %d\n" % number for number in range(1000))

    def answer(request: object) -> Response:
        response = Response(body, content_type="text/plain")
        return response.make_conditional(request.environ, accept_ranges=ranges, complete_length=len(body))  # type: ignore[attr-defined]

    httpserver.expect_request("/mine.txt").respond_with_handler(answer)
    assert len(texts(httpserver.url_for("/mine.txt?key=1"))["all"]) == 1000


def test_messages_say_which_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(write(tmp_path / "split", train_txt="a", test_txt="b", more_txt="c"))
    assert capsys.readouterr().out.endswith(
        "split: 1 file(s) for train, 1 file(s) for test; 1 other file(s) are not read\n"
    )
    texts(write(tmp_path / "mine", a_txt="a", b_txt="b"))
    assert capsys.readouterr().out.endswith("mine: 2 file(s), whose articles are split into train and test\n")


def test_no_message_shows_a_password(httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    httpserver.expect_request("/mine.txt").respond_with_data("a\n")
    url = httpserver.url_for("/mine.txt")
    assert texts(url.replace("//", "//me:secret@")) == {"all": ["a"]}
    assert capsys.readouterr().out.startswith(f"reading {url}: ")
    httpserver.expect_request("/none.txt").respond_with_data("", status=404)
    with pytest.raises(InputError, match="found nothing") as caught:
        texts(httpserver.url_for("/none.txt").replace("//", "//me:secret@"))
    assert "secret" not in str(caught.value)


def test_the_error_for_a_failed_server_shows_no_password(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/mine.txt", method="HEAD").respond_with_data("", headers={"Content-Length": "3"})
    httpserver.expect_request("/mine.txt", method="GET").respond_with_data("", status=500)
    url = httpserver.url_for("/mine.txt").replace("//", "//me:secret@")
    with pytest.raises(RunError) as caught:
        texts(url)
    assert "cannot be read: " in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
@pytest.mark.parametrize("path", ["/mine.txt", "/mine/", "/mine/*.txt"])
def test_a_server_that_fails_is_a_failed_run(httpserver: HTTPServer, status: int, path: str) -> None:
    httpserver.expect_request(re.compile("/mine.*")).respond_with_data("", status=status)
    with pytest.raises(RunError, match=rf"cannot be read: ClientResponseError: {status}"):
        texts(httpserver.url_for(path))


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_a_server_lacks_is_wrong_input(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/mine.txt").respond_with_data("", status=status)
    with pytest.raises(InputError, match="found nothing at"):
        texts(httpserver.url_for("/mine.txt"))


def test_a_server_that_does_not_answer_is_a_failed_run() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, but it does not listen
        url = f"http://127.0.0.1:{free.getsockname()[1]}/mine.txt"
        with pytest.raises(RunError, match="cannot be read: ClientConnectorError: "):
            texts(url)


def test_a_server_that_hangs_up_is_a_failed_run() -> None:
    with (
        serving(lambda connection, _number: connection.close()) as (url, _),
        pytest.raises(RunError, match="cannot be read: ServerDisconnectedError"),
    ):
        texts(f"{url}/mine.txt")
