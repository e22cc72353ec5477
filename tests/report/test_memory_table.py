from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charloom.evaluation.contribution import Contribution
from charloom.evaluation.evaluation import Reading
from charloom.model.scoring import Surprisal
from charloom.report.memory_table import ROWS, Example, memory_table
from charloom.report.page import write_page
from charloom.text.vocab import Vocabulary
from tests.report.conftest import Reported

VOCABULARY = Vocabulary.build(["abc"])
ABC = [*VOCABULARY.encode("abc").tolist(), VOCABULARY.eos]


def reading(bits: list[float], memory: list[float], network: list[float]) -> Reading:
    """A reading of the article `abc` with these bits for its symbols."""
    none = np.empty((4, 0))
    surprisal = Surprisal(np.array(bits) * np.log(2), none.astype(int), none, np.zeros(4))
    parts = Contribution(np.array(memory), np.array(network))
    return Reading("World", 1.0, 0.0, np.array(ABC, dtype=np.uint8), surprisal, 0, parts)


def test_the_table_has_the_symbols_for_which_each_part_matters_most() -> None:
    table = memory_table([reading([1, 1, 1, 1], [2, 1, 6, 1], [1, 9, 1, 2])], VOCABULARY)
    assert table is not None
    assert table.examples == [Example("a", "b", 1, 9, 1), Example("ab", "c", 6, 1, 1)]
    assert [table.memory_bits, table.network_bits, table.bits] == [10 / 4, 13 / 4, 1]


def test_the_end_of_an_article_is_a_square() -> None:
    table = memory_table([reading([1, 1, 1, 1], [1, 1, 1, 5], [1, 1, 1, 7])], VOCABULARY)
    assert table is not None
    assert [each.symbol for each in table.examples] == ["■", "■"]


def test_an_article_has_at_most_one_example_of_each_kind_and_the_largest_come_first() -> None:
    readings = [reading([0] * 4, [n, 0, n, 0], [0, 2 * n, 0, 2 * n]) for n in (3, 9, 1, 7, 5, 2)]
    table = memory_table(readings, VOCABULARY)
    assert table is not None
    assert [each.network_bits for each in table.examples[:ROWS]] == [18, 14, 10, 6]
    assert [each.memory_bits for each in table.examples[ROWS:]] == [9, 7, 5, 3]


def test_without_articles_or_without_a_memory_there_is_no_table() -> None:
    assert memory_table([], VOCABULARY) is None
    assert memory_table([replace(reading([0] * 4, [0] * 4, [0] * 4), contribution=None)], VOCABULARY) is None


@pytest.mark.parametrize("articles", [0, 6])
def test_the_page_states_the_size_of_the_memory(reported: Reported, tmp_path: Path, articles: int) -> None:
    evaluation, context = reported
    assert context.memory is not None
    write_page(tmp_path / "report.html", replace(evaluation, readings=evaluation.readings[:articles]), context)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = re.search(r'<section id="memory">.*?</section>', page, re.DOTALL)
    assert section is not None
    assert f"{context.memory.symbols:,}" in section[0]
    assert f"{context.memory.contexts:,} contexts" in section[0]
    assert section[0].count('<th scope="row">') == min(articles, ROWS) * 2


def test_the_page_of_a_model_without_a_memory_has_no_such_section(reported: Reported, tmp_path: Path) -> None:
    evaluation, context = reported
    readings = [replace(each, contribution=None) for each in evaluation.readings]
    write_page(tmp_path / "report.html", replace(evaluation, readings=readings), replace(context, memory=None))
    assert 'id="memory"' not in (tmp_path / "report.html").read_text(encoding="utf-8")
