"""The README names a command for each of four shapes of recurrent network. The commands have these shapes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from charloom.corpus.sources import AG_NEWS_CLASSES
from tests.cli.conftest import Charloom
from tests.conftest import CHECKOUT

TEXT = "Stocks rose on Monday."
ROW = re.compile(r"^\| (\w+-to-\w+) \| .* \| `charloom (.*)` \|$", re.MULTILINE)


@pytest.fixture
def shown(charloom: Charloom, conditioned_folder: Path, tmp_path: Path) -> dict[str, str]:
    """The output of the README's command for each shape."""
    (tmp_path / "article.txt").write_text(TEXT)
    rows = ROW.findall((CHECKOUT / "README.md").read_text(encoding="utf-8"))
    outputs = {}
    for shape, command in rows:
        subcommand, *arguments = shlex.split(command.replace("article.txt", str(tmp_path / "article.txt")))
        ended = charloom(subcommand, *arguments, model=conditioned_folder)
        assert ended.code == 0, ended.err
        outputs[shape] = ended.out
    return outputs


def test_the_readmes_command_for_each_shape_has_that_shape(shown: dict[str, str]) -> None:
    assert re.fullmatch(r"t.\n?", shown["one-to-one"].rstrip("\n"), re.DOTALL)
    assert len(shown["one-to-many"]) > 1
    names, shares = (line.split()[: len(AG_NEWS_CLASSES)] for line in shown["many-to-one"].splitlines())
    assert names == list(AG_NEWS_CLASSES)
    assert sum(map(float, shares)) == pytest.approx(1, abs=1e-3)
    _heading, *symbols = shown["many-to-many"].splitlines()
    assert len(symbols) == len(TEXT) + 1
