"""Reads corpora of torchtext's catalogue, with torchtext's data pipes and its cache.

The cache is ~/.cache/torch/text; the environment variable TORCH_HOME moves it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charloom.corpus.articles import SPLITS, check_text
from charloom.corpus.download import cache_lock
from charloom.corpus.intake import ClassedText, Source
from charloom.errors import InputError, RunError
from charloom.extras import load_torchtext
from charloom.files import file_digest

# The corpora of torchtext that consist of texts. The other corpora of torchtext have sentence pairs, tags or questions.
CLASSES_AND_TEXTS = {"AG_NEWS", "AmazonReviewFull", "AmazonReviewPolarity", "DBpedia", "IMDB", "SogouNews"}
CLASSES_AND_TEXTS |= {"YahooAnswers", "YelpReviewFull", "YelpReviewPolarity"}
LINES = {"EnWik9", "PennTreebank", "WikiText103", "WikiText2"}  # without classes: each line is an article
UNSPLIT = {"EnWik9"}  # without a test split


def open_catalogue(name: str, timeout_s: float) -> Source:
    """Open a corpus of torchtext. torchtext downloads the corpus when the first article is read.

    In a corpus without classes, each line is an article. A validation split is not read.

    Raises InputError if torchtext is missing or has no corpus of texts with this name. Reading an article raises
    RunError if torchtext cannot get the corpus.
    """
    if name not in CLASSES_AND_TEXTS | LINES:
        known = ", ".join(sorted(CLASSES_AND_TEXTS | LINES))
        raise InputError(f"data.source = 'torchtext:{name}': unknown corpus; the corpora of texts are {known}")
    torchtext = load_torchtext()
    if name in UNSPLIT:
        return Source({"all": _articles(torchtext, name, timeout_s)})
    return Source({split: _articles(torchtext, name, timeout_s, split=split) for split in SPLITS})


def _articles(torchtext: Any, name: str, timeout_s: float, **split: str) -> Iterator[ClassedText]:
    from urllib3.exceptions import HTTPError

    root = torchtext._CACHE_DIR
    folder = Path(root, "datasets", name)
    lock = cache_lock(folder.with_suffix(".lock"), f"torchtext's {name}", "TORCH_HOME")
    with lock, _cleared(folder, torchtext.datasets.MD5[name]):
        try:
            for item in _with_timeout(getattr(torchtext.datasets, name)(root, **split), timeout_s):
                class_name, text = (None, item.rstrip("\n")) if name in LINES else (str(item[0]), item[1])
                check_text(text, f"torchtext's {name}")
                yield class_name, text
        except (OSError, RuntimeError, HTTPError) as error:
            # torch adds a second line, which names the data pipe, to the message. If the error has no message, or one
            # that is not a string, the first line is empty.
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise RunError(
                f"torchtext cannot get {name}: {reason}. Try again, or put the file of the corpus into {folder} (the"
                " hash of the file is checked)"
            ) from None


def _with_timeout(pipe: Any, timeout_s: float) -> Any:
    """Set a timeout in a data pipe of torch. Without a timeout, a pipe waits for a stalled server for ever."""
    from torch.utils.data.graph import traverse_dps
    from torch.utils.data.graph_settings import get_all_graph_pipes

    parts: list[Any] = get_all_graph_pipes(traverse_dps(pipe))
    for part in parts:
        if hasattr(part, "timeout"):
            part.timeout = timeout_s
    return pipe


@contextmanager
def _cleared(folder: Path, published_md5: object) -> Iterator[None]:
    """Remove the incomplete files of interrupted downloads, before and after the block."""
    _clear(folder, published_md5)
    try:
        yield
    finally:
        _clear(folder, published_md5)


def _clear(folder: Path, published_md5: object) -> None:
    """Remove incomplete files and folders, and torchtext's `.promise.` files, which mark them as incomplete.

    torchtext would treat an incomplete file as complete. A file whose hash is in `published_md5` is complete and stays.
    """
    for promise in folder.rglob("*.promise.*"):
        promised = Path(str(promise).rpartition(".promise.")[0])
        if promised.is_dir():
            shutil.rmtree(promised)
        elif promised.is_file() and file_digest(promised, "md5") not in str(published_md5):
            promised.unlink()
        Path(f"{promised}.torchdata_list").unlink(missing_ok=True)
        promise.unlink()
