"""The lines of corpora/README.md read each kind of text, and `charloom data --source` proposes the same lines."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest
import yaml

from charloom.corpus.articles import SPLITS, read_articles
from charloom.corpus.inspection import inspect_source
from tests.conftest import CHECKOUT
from tests.corpus.kinds import ARTICLES, FILES, make
from tests.corpus.test_sources import get


class Kind(NamedTuple):
    """A row of the tables: the file that is made, the command that converts it, the file that is read, the lines."""

    made: str
    command: str
    read: str
    lines: dict[str, Any]


def _kind(source: str, lines: str) -> Kind:
    settings = yaml.safe_load(re.sub("`(?:<br>|, )`", "\n", lines).strip("`"))
    if " > " not in source:
        name = PurePosixPath(source).name
        return Kind(name, "", name, settings)
    made = re.findall(r"\b(\w+\.\w+) > ", source)[0]
    return Kind(made, source, source.rpartition(" > ")[2], settings)


def kinds() -> list[Kind]:
    section = (CHECKOUT / "corpora" / "README.md").read_text(encoding="utf-8").partition("## Kinds of text\n")[2]
    rows = re.findall(r"^\| .* \| `([^`]+)` \| (`\w+: .*`) \| [^|]+ \|$", section.partition("\n## ")[0], re.MULTILINE)
    items = re.findall(r"^- .*?: (`\w+: .*`)\n\n((?: {6}.*\n)+)", section.partition("\n## ")[0], re.MULTILINE)
    return [_kind(source.strip(), lines) for source, lines in [*rows, *(item[::-1] for item in items)]]


KINDS = kinds()


def test_the_tables_have_a_row_for_each_made_file() -> None:
    assert sorted(kind.made for kind in KINDS) == sorted([*FILES, "mails"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.made)
def test_the_lines_read_the_kind(kind: Kind, tmp_path: Path) -> None:
    make(kind.made, tmp_path)
    if kind.made in ("games.pgn", "genes.fasta", "mail.mbox"):
        shutil.copy(tmp_path / kind.made, tmp_path / "mine.txt")
        command = kind.command.partition(f" {kind.made}")[0]
        assert any(f"`{command} OLD > NEW.txt`" in fact for fact in inspect_source("mine.txt", tmp_path).facts)
    if kind.command:
        command = kind.command.replace("python", sys.executable, 1)
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert inspect_source(kind.read, tmp_path).params == {"source": kind.read, **kind.lines}
    get(kind.read, tmp_path, **kind.lines)
    lengths = [len(each.text) for split in SPLITS for each in read_articles(tmp_path / "data" / "raw" / f"{split}.csv")]
    if kind.lines.get("article_end") == 1000:
        assert 500 <= max(lengths) <= 1000
    else:
        assert len(lengths) == ARTICLES
