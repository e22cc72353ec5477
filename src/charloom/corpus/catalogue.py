"""Corpora of torchtext's catalogue, through its data pipes and its cache (~/.cache/torch/text; TORCH_HOME moves it)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charloom.corpus.articles import SPLITS, check_text
from charloom.corpus.intake import Labelled, Source
from charloom.errors import InputError, RunError
from charloom.extras import load_torchtext
from charloom.files import exclusive, file_digest

# Those whose items are a text, behind its class or alone; the others' are pairs, tags, questions.
CLASSES_AND_TEXTS = {"AG_NEWS", "AmazonReviewFull", "AmazonReviewPolarity", "DBpedia", "IMDB", "SogouNews"}
CLASSES_AND_TEXTS |= {"YahooAnswers", "YelpReviewFull", "YelpReviewPolarity"}
LINES = {"EnWik9", "PennTreebank", "WikiText103", "WikiText2"}
UNSPLIT = {"EnWik9"}


def open_catalogue(name: str, timeout_s: float) -> Source:
    """The articles of a corpus of torchtext's, which is downloaded when it is first read; every line is one where it
    has no classes. Its validation split is left out.

    Raises InputError where torchtext is missing or has no such corpus of texts. Reading the articles raises RunError
    where torchtext cannot get them.
    """
    if name not in CLASSES_AND_TEXTS | LINES:
        known = ", ".join(sorted(CLASSES_AND_TEXTS | LINES))
        raise InputError(f"data.source = 'torchtext:{name}': none of torchtext's corpora of texts, which are {known}")
    torchtext = load_torchtext()
    if name in UNSPLIT:
        return Source({"all": _articles(torchtext, name, timeout_s)})
    return Source({split: _articles(torchtext, name, timeout_s, split=split) for split in SPLITS})


def _articles(torchtext: Any, name: str, timeout_s: float, **split: str) -> Iterator[Labelled]:
    from urllib3.exceptions import HTTPError

    root = torchtext._CACHE_DIR
    folder = Path(root, "datasets", name)
    with exclusive(folder.with_suffix(".lock"), f"torchtext's {name}"), _cleared(folder, torchtext.datasets.MD5[name]):
        try:
            for item in _with_timeout(getattr(torchtext.datasets, name)(root, **split), timeout_s):
                label, text = (None, item.rstrip("\n")) if name in LINES else (str(item[0]), item[1])
                check_text(text, f"torchtext's {name}")
                yield label, text
        except (OSError, RuntimeError, HTTPError) as error:
            # behind it stands which pipe it was in; torch's wrapper puts that in the place of what is no string
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise RunError(
                f"torchtext cannot get {name}: {reason}. Try again, or put its file into {folder}; the hash decides"
            ) from None


def _with_timeout(pipe: Any, timeout_s: float) -> Any:
    """The pipe, whose readers would wait for a stalled server for ever."""
    from torch.utils.data.graph import traverse_dps
    from torch.utils.data.graph_settings import get_all_graph_pipes

    parts: list[Any] = get_all_graph_pipes(traverse_dps(pipe))
    for part in parts:
        if hasattr(part, "timeout"):
            part.timeout = timeout_s
    return pipe


@contextmanager
def _cleared(folder: Path, published: object) -> Iterator[None]:
    """Clear away what unfinished tries left, before and after one."""
    _clear(folder, published)
    try:
        yield
    finally:
        _clear(folder, published)


def _clear(folder: Path, published: object) -> None:
    """Remove the promises of files that were never kept, and those files, which torchtext would take for whole.

    A file whose hash is among those `published` stays.
    """
    for promise in folder.rglob("*.promise.*"):
        promised = Path(str(promise).rpartition(".promise.")[0])
        if promised.is_dir():
            shutil.rmtree(promised)
        elif promised.is_file() and file_digest(promised, "md5") not in str(published):
            promised.unlink()
        Path(f"{promised}.torchdata_list").unlink(missing_ok=True)
        promise.unlink()
