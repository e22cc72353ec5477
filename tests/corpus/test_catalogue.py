"""Corpora of torchtext, downloaded from a server on this machine instead of the usual hosts."""

from __future__ import annotations

import hashlib
import io
import shutil
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from charloom.corpus.articles import read_articles, read_source
from charloom.corpus.catalogue import open_catalogue
from charloom.corpus.intake import ClassedText
from charloom.corpus.sources import obtain
from charloom.errors import InputError, RunError
from charloom.extras import load_torchtext
from charloom.params_file import load_params
from tests.conftest import CHECKOUT
from tests.faults.servers import Answer, head, respond, send, serving

SPLITS = ("train", "test")
LINES = {split: f" \n = {split} = \n a line .\n" for split in (*SPLITS, "valid")}
PROMISE = "[dataloader session uid]"


@pytest.fixture
def cache(torchtext: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of torchtext's corpora, empty."""
    monkeypatch.setattr(load_torchtext(), "_CACHE_DIR", str(tmp_path))
    return tmp_path / "datasets"


Publish = Callable[..., list[bytes]]


@pytest.fixture
def publish(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publish]:
    """Serve an archive (or another answer) as the file of a corpus. Returns the list to which requests are added."""
    with ExitStack() as servers:

        def do(name: str, archive: bytes, answer: Answer | None = None) -> list[bytes]:
            module = import_module(f"torchtext.datasets.{name.lower()}")
            address, requests = servers.enter_context(serving(answer or respond(archive)))
            md5 = hashlib.md5(archive, usedforsecurity=False).hexdigest()
            monkeypatch.setattr(module, "URL", f"{address}/{Path(module.URL).name}")
            monkeypatch.setattr(module, "MD5", md5)
            monkeypatch.setitem(load_torchtext().datasets.MD5, name, md5)
            return requests

        yield do


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def tarred(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def wikitext2() -> bytes:
    return zipped({f"wikitext-2/wiki.{split}.tokens": text for split, text in LINES.items()})


def imdb() -> bytes:
    places = [(split, class_name) for split in SPLITS for class_name in ("neg", "pos")]
    return tarred({f"aclImdb/{split}/{name}/0_1.txt": f"{split} {name} \u2713" for split, name in places})


REVIEWS = {split: [("1", f"{split} neg \u2713"), ("2", f"{split} pos \u2713")] for split in SPLITS}
TEXTS = {split: [(None, line) for line in LINES[split].splitlines()] for split in SPLITS}


def read(name: str) -> dict[str, list[ClassedText]]:
    return {split: list(articles) for split, articles in open_catalogue(name, timeout_s=0.5).splits.items()}


def promises(folder: Path) -> list[Path]:
    return list(folder.rglob("*.promise.*"))


@pytest.mark.parametrize("name", ["Multi30k", "ag_news", "", "vocab"])
def test_an_unknown_corpus_is_rejected_with_the_list_of_corpora(name: str) -> None:
    with pytest.raises(
        InputError, match=f"data.source = 'torchtext:{name}': unknown corpus; .* AG_NEWS, .*, WikiText2, Yah"
    ):
        open_catalogue(name, timeout_s=1)


@pytest.mark.skipif(find_spec("torchtext") is not None, reason="this install has torchtext")
def test_without_torchtext_the_error_names_the_extra() -> None:
    with pytest.raises(InputError, match=r"pip install 'charloom\[torchtext\]'"):
        open_catalogue("AG_NEWS", timeout_s=1)


@pytest.mark.usefixtures("torchtext")
def test_every_corpus_in_the_list_exists_in_torchtext() -> None:
    with pytest.raises(InputError) as caught:
        open_catalogue("none", timeout_s=1)
    offered = str(caught.value).partition("of texts are ")[2].split(", ")
    assert set(offered) <= load_torchtext().datasets.DATASETS.keys()


def test_ag_news_of_torchtext_has_the_articles_of_its_file(cache: Path, ag_news_26k: Path) -> None:
    folder = cache / "AG_NEWS"
    folder.mkdir(parents=True)
    shutil.copyfile(ag_news_26k / "test.csv", folder / "test.csv")
    (folder / "test.csv.promise.1234").write_text(PROMISE)
    pairs = list(open_catalogue("AG_NEWS", timeout_s=1).splits["test"])
    assert pairs == [(str(article.label), article.text) for article in read_articles(ag_news_26k / "test.csv")]
    assert not promises(folder)


def test_a_corpus_without_classes_is_downloaded_once(cache: Path, publish: Publish) -> None:
    requests = publish("WikiText2", wikitext2())
    assert read("WikiText2") == read("WikiText2") == TEXTS
    assert len(requests) == 1
    assert not promises(cache)


def test_a_corpus_that_is_not_split_has_the_one_split_all(publish: Publish) -> None:
    publish("EnWik9", zipped({"enwik9": "<page>\n  caf\u00e9\n"}))
    assert read("EnWik9") == {"all": [(None, "<page>"), (None, "  caf\u00e9")]}


def test_a_corpus_with_classes_is_read_with_its_classes(cache: Path, publish: Publish) -> None:
    publish("IMDB", imdb())
    assert read("IMDB") == REVIEWS
    assert not promises(cache)


def test_data_source_can_name_a_corpus_of_torchtext(publish: Publish, tmp_path: Path) -> None:
    publish("IMDB", imdb())
    params = load_params(CHECKOUT / "params.yaml")
    data = params.data.model_copy(update={"source": "torchtext:IMDB", "timeout": 1.0})
    counts = obtain(params.model_copy(update={"data": data}), tmp_path / "raw", root=tmp_path, mirror=None)
    assert (counts["train_articles"], counts["test_articles"]) == (2, 2)
    assert read_source(tmp_path / "raw")["source"] == "torchtext:IMDB"
    read_back = [(str(article.label), article.text) for article in read_articles(tmp_path / "raw" / "train.csv")]
    assert read_back == REVIEWS["train"]


def test_a_partly_extracted_file_is_extracted_again(cache: Path, publish: Publish) -> None:
    publish("WikiText2", wikitext2())
    extracted = cache / "WikiText2" / "wikitext-2" / "wiki.train.tokens"
    extracted.parent.mkdir(parents=True)
    extracted.write_text(" = tra")
    Path(f"{extracted}.promise.1234").write_text(PROMISE)
    assert read("WikiText2") == TEXTS


def test_a_partly_extracted_folder_is_extracted_again(cache: Path, publish: Publish) -> None:
    publish("IMDB", imdb())
    extracted = cache / "IMDB" / "aclImdb_v1" / "train"
    extracted.mkdir(parents=True)
    (extracted / "neg").write_text("trai")
    Path(f"{extracted}.torchdata_list").write_text(f"{extracted / 'neg'}\n")
    Path(f"{extracted}.promise.1234").write_text(PROMISE)
    assert read("IMDB") == REVIEWS


def stall(connection: socket.socket, _number: int) -> None:
    connection.recv(1)  # returns when the client closes the connection


FAILURES = {
    "refused": (respond(b"", "503 Service Unavailable"), "503"),
    "forged": (respond(b"not the archive"), "hash"),
    "truncated": (send(head("200 OK", "Content-Length: 1000"), b"PK"), "IncompleteRead"),
    "stalled": (stall, "ReadTimeout"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_after_a_failed_download_the_next_attempt_works(cache: Path, publish: Publish, failure: str) -> None:
    answer, says = FAILURES[failure]
    publish("WikiText2", wikitext2(), answer)
    with pytest.raises(
        RunError, match=rf"^torchtext cannot get WikiText2: .*{says}.*\. Try again, or put the file of the corpus into"
    ):
        read("WikiText2")
    assert not promises(cache)
    publish("WikiText2", wikitext2())
    assert read("WikiText2") == TEXTS
