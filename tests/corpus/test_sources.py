from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from charloom.corpus import download
from charloom.corpus.articles import SPLITS, Article, read_articles, read_source
from charloom.corpus.download import RemoteFile
from charloom.corpus.sources import AG_NEWS, AG_NEWS_CLASSES, SAMPLE, obtain
from charloom.errors import InputError, RunError
from charloom.params_file import load_params
from tests.conftest import CHECKOUT, WriteRows

PARAMS = load_params(CHECKOUT / "params.yaml")
ROWS = [(1, "a", "b"), (3, "Caf\u00e9", 'say "x"')]


def get(source: str, root: Path, mirror: str | None = None, **settings: object) -> dict[str, int]:
    data = PARAMS.data.model_copy(update={"source": source, "timeout": 1.0, **settings})
    params = PARAMS.model_copy(update={"data": data})
    return obtain(params, root / "data" / "raw", root=root, mirror=mirror)


def about(root: Path) -> dict[str, Any]:
    return read_source(root / "data" / "raw")


@pytest.fixture
def mine(tmp_path: Path, write_rows: WriteRows) -> Path:
    """A user's corpus in corpora/mine. Its only test article is also a training article."""
    folder = tmp_path / "corpora" / "mine"
    write_rows(folder / "train.csv", ROWS)
    write_rows(folder / "test.csv", ROWS[:1])
    return folder


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache and no network: the proxy is a closed port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHARLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "ATTEMPTS", 1)


def test_the_sample_has_760_articles_of_four_balanced_classes(tmp_path: Path) -> None:
    counts = get("sample", tmp_path)
    assert (counts["train_articles"], counts["test_articles"]) == (632, 128)
    raw = tmp_path / "data" / "raw"
    for split in SPLITS:
        labels = Counter(article.label for article in read_articles(raw / f"{split}.csv"))
        assert sorted(labels) == [1, 2, 3, 4]
        assert len(set(labels.values())) == 1
        assert counts[f"{split}_bytes"] == (SAMPLE / f"{split}.csv").stat().st_size
    assert about(tmp_path)["classes"] == ["World", "Sports", "Business", "Sci/Tech"]


def test_all_articles_of_the_sample_are_different() -> None:
    texts = [article.text for split in SPLITS for article in read_articles(SAMPLE / f"{split}.csv")]
    assert len(set(texts)) == len(texts) == 760


@pytest.mark.parametrize("quirk", ["\\", " #39;", '"', "&lt;", "(AP)"])
def test_the_sample_has_the_quirks_of_ag_news(quirk: str) -> None:
    assert any(quirk in article.text for article in read_articles(SAMPLE / "train.csv"))


def test_a_folder_is_copied_byte_for_byte_with_a_source_json(tmp_path: Path, mine: Path) -> None:
    assert get("corpora/mine", tmp_path) == {
        "train_articles": 2,
        "train_bytes": (mine / "train.csv").stat().st_size,
        "test_articles": 1,
        "test_bytes": (mine / "test.csv").stat().st_size,
        "duplicates": 1,
        "test_duplicates": 1,
        "empty": 0,
    }
    described = {}
    for split in SPLITS:
        content = (tmp_path / "data" / "raw" / f"{split}.csv").read_bytes()
        assert content == (mine / f"{split}.csv").read_bytes()
        described[split] = {
            "origin": "corpora/mine",
            "bytes": len(content),
            "articles": {"train": 2, "test": 1}[split],
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    head = {"format": "charloom-source", "version": 1, "source": "corpora/mine", "classes": ["1", "2", "3"]}
    assert about(tmp_path) == head | described
    assert sorted(path.name for path in (tmp_path / "data" / "raw").iterdir()) == [
        "source.json",
        "test.csv",
        "train.csv",
    ]


def test_source_json_does_not_depend_on_the_place_of_the_checkout(tmp_path: Path, mine: Path) -> None:
    shutil.copytree(mine, tmp_path / "elsewhere" / "corpora" / "mine")
    get("corpora/mine", tmp_path)
    get("corpora/mine", tmp_path / "elsewhere")
    here, there = (root / "data" / "raw" / "source.json" for root in (tmp_path, tmp_path / "elsewhere"))
    assert here.read_bytes() == there.read_bytes()


def test_an_absolute_path_is_used_as_it_is(tmp_path: Path, mine: Path) -> None:
    get(str(mine), tmp_path / "elsewhere")
    assert about(tmp_path / "elsewhere")["source"] == str(mine)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("place", ["~/mine", "~/mine/*.csv"])
def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "corpora"))
    assert get(place, tmp_path)["train_articles"] == len(ROWS)
    assert about(tmp_path)["source"] == place


def test_class_names_come_from_classes_txt(tmp_path: Path, mine: Path) -> None:
    (mine / "classes.txt").write_bytes("\ufeffFarm\r\n\r\n  Caf\u00e9 \r\nSea\r\nSpare".encode())
    get("corpora/mine", tmp_path)
    assert about(tmp_path)["classes"] == ["Farm", "Caf\u00e9", "Sea", "Spare"]


def test_the_lines_of_classes_txt_may_end_with_cr(tmp_path: Path, mine: Path) -> None:
    (mine / "classes.txt").write_bytes(b"Farm\rSea\rAir")
    get("corpora/mine", tmp_path)
    assert about(tmp_path)["classes"] == ["Farm", "Sea", "Air"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Farm\nSea\n", "has 2 class names, but the articles have classes up to 3"),
        (b"Farm\nSea\nSea\n", "contains a class name twice"),
        (b"\xef\xbb\xbfa\xff", "byte 4 (0xff) is not UTF-8; convert the text to UTF-8"),
        (
            "Farm\nSea\n".encode("utf-16-le"),
            "this is text in UTF-16LE, not in UTF-8; convert it: `iconv -f UTF-16LE -t UTF-8 OLD > NEW`",
        ),
    ],
)
def test_a_wrong_classes_txt_is_reported(tmp_path: Path, mine: Path, content: bytes, says: str) -> None:
    (mine / "classes.txt").write_bytes(content)
    with pytest.raises(InputError) as caught:
        get("corpora/mine", tmp_path)
    assert str(caught.value) == f"{mine / 'classes.txt'}: {says}"


def test_the_official_test_split_gives_the_class_names_of_ag_news(tmp_path: Path, ag_news_26k: Path) -> None:
    get(str(ag_news_26k), tmp_path)
    assert about(tmp_path)["classes"] == list(AG_NEWS_CLASSES)
    assert about(tmp_path)["test"]["md5"] == AG_NEWS["test"].md5


def test_a_byte_that_is_not_utf_8_is_an_error_or_replaced(tmp_path: Path, mine: Path) -> None:
    (mine / "train.csv").write_bytes(b'"1","a","b\xff"\n')
    with pytest.raises(
        InputError, match=r"byte 10 \(0xff\) is not UTF-8; convert the text to UTF-8, or set data\.errors"
    ):
        get("corpora/mine", tmp_path)
    get("corpora/mine", tmp_path, errors="replace")
    assert list(read_articles(tmp_path / "data/raw/train.csv")) == [Article(1, "a b\ufffd")]


def test_a_folder_with_train_csv_only_is_split_by_a_hash_of_the_texts(tmp_path: Path, mine: Path) -> None:
    (mine / "test.csv").unlink()
    rows = "".join(f'"{number % 3 + 1}","title","text {number}"\n' for number in range(100))
    (mine / "train.csv").write_text(rows)
    counts = get("corpora/mine", tmp_path)
    assert counts["train_articles"] + counts["test_articles"] == 100
    assert 2 <= counts["test_articles"] <= 20
    assert about(tmp_path)["classes"] == ["1", "2", "3"]
    assert next(read_articles(tmp_path / "data/raw/train.csv")).text.startswith("title text")


def test_a_users_file_is_turned_into_train_csv_and_test_csv(tmp_path: Path) -> None:
    lines = "".join(f'{{"body": "caf\u00e9 {number}", "topic": "{number % 2}"}}\n' for number in range(50))
    (tmp_path / "mine.jsonl").write_text(lines, encoding="utf-8")
    counts = get("mine.jsonl", tmp_path, text_columns=["body"], class_column="topic", test_fraction=0.3)
    raw = tmp_path / "data" / "raw"
    described = about(tmp_path)
    assert (described["source"], described["classes"]) == ("mine.jsonl", ["0", "1"])
    for split in SPLITS:
        articles = list(read_articles(raw / f"{split}.csv"))
        assert all(int(article.text[5:]) % 2 + 1 == article.label for article in articles)
        assert counts[f"{split}_articles"] == described[split]["articles"] == len(articles)
        assert described[split]["sha256"] == hashlib.sha256((raw / f"{split}.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_articles_is_reported_with_the_columns_to_add(
    tmp_path: Path, mine: Path, content: bytes
) -> None:
    (mine / "train.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"train\.csv: has no article; add rows of class, title, description"):
        get("corpora/mine", tmp_path)


@pytest.mark.parametrize("content", [b'"1",""\n"2"," "\n', b'"1","",""\n'])
def test_a_file_with_empty_texts_only_is_reported(tmp_path: Path, mine: Path, content: bytes) -> None:
    (mine / "test.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"test\.csv: has no article that contains text; add rows of class, title"):
        get("corpora/mine", tmp_path)


def test_a_wrong_row_is_reported_and_nothing_is_written(tmp_path: Path, mine: Path) -> None:
    with (mine / "train.csv").open("a") as file:
        file.write("x,y\n")
    with pytest.raises(InputError, match=r"mine/train\.csv:3: 2 columns"):
        get("corpora/mine", tmp_path)
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("mirror", ["corpora/mine", "~/mine"])
def test_a_mirror_folder_starts_at_the_root_or_at_home(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    for split in SPLITS:
        md5 = hashlib.md5((mine / f"{split}.csv").read_bytes(), usedforsecurity=False).hexdigest()
        monkeypatch.setitem(AG_NEWS, split, RemoteFile(f"{split}.csv", AG_NEWS[split].url, md5))
    (tmp_path / "ag_news").mkdir()
    (tmp_path / "ag_news" / "classes.txt").write_text("not\nto\nbe\nread\n")
    monkeypatch.setenv("HOME", str(tmp_path / "corpora"))
    get("ag_news", tmp_path, mirror=mirror)
    assert about(tmp_path)["classes"] == list(AG_NEWS_CLASSES)
    assert about(tmp_path)["train"]["origin"] == AG_NEWS["train"].url
    assert "mine" not in json.dumps(about(tmp_path))


@pytest.mark.usefixtures("offline", "mine")
def test_ag_news_offline_with_a_wrong_mirror_fails_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        get("ag_news", tmp_path, mirror="corpora/mine")
    message = str(caught.value)
    assert f"{tmp_path}/corpora/mine/train.csv: the content does not match the published MD5" in message
    assert f"{AG_NEWS['train'].url}: ProxyError: Connection refused" in message
    assert "data.mirror" in message
    assert "`make demo`" in message
    assert not (tmp_path / "data").exists()
    assert [
        path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix not in (".lock", ".pid")
    ] == []


def test_each_file_is_read_once_for_both_digests(tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Counter[Path] = Counter()
    open_path = Path.open

    def count(path: Path, *arguments: Any, **options: Any) -> Any:
        opened[path] += 1
        return open_path(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", count)
    get("corpora/mine", tmp_path)
    assert [opened[tmp_path / "data" / "raw" / f"{split}.csv"] for split in SPLITS] == [1, 1]


def test_training_texts_that_are_also_in_test_are_counted_or_dropped(tmp_path: Path, mine: Path) -> None:
    assert get("corpora/mine", tmp_path)["duplicates"] == 1
    counts = get("corpora/mine", tmp_path, deduplicate=True)
    assert (counts["duplicates"], counts["train_articles"], counts["test_articles"]) == (1, 1, 1)
    raw = tmp_path / "data" / "raw"
    assert list(read_articles(raw / "train.csv")) == list(read_articles(mine / "train.csv"))[1:]
    assert about(tmp_path)["classes"] == ["1", "2", "3"]


def test_files_with_the_columns_of_ag_news_are_normalized_if_asked(
    tmp_path: Path, mine: Path, write_rows: WriteRows
) -> None:
    write_rows(mine / "train.csv", [(2, "Cafe\u0301", "x")])
    get("corpora/mine", tmp_path, normalize="NFC")
    assert [article.text for article in read_articles(tmp_path / "data/raw/train.csv")] == ["Caf\u00e9 x"]


@pytest.mark.parametrize("errors", ["strict", "replace"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "\ufeff1,a,b\n".encode("utf-16-le"),
            "this is text in UTF-16 with a byte order mark, not in UTF-8; convert it",
        ),
        (
            gzip.compress(b"1,a,b\n", mtime=0),
            "this is compressed (gzip); rename the file so that its name ends in .gz, or",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "this is the pointer of git-lfs to a file"),
    ],
)
def test_train_csv_that_is_no_utf_8_text_is_named_as_what_it_is(
    tmp_path: Path, mine: Path, content: bytes, says: str, errors: str
) -> None:
    (mine / "train.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        get("corpora/mine", tmp_path, errors=errors)
    assert str(caught.value).startswith(f"{mine / 'train.csv'}: {says}")
