"""What is said about the classes before a training."""

from __future__ import annotations

import pytest

from charloom.text.split import ClassCount
from charloom.training.setup import name_rare_classes


@pytest.mark.parametrize(
    ("articles", "says"),
    [
        ({}, ""),
        ({"sea": 2, "air": 99}, ""),
        ({"sea": 0, "air": 2, "land": 1}, "2 class(es) have no labelled training article or only one, too few to learn"
                                          " from: sea (0), land (1)\n"),
        (dict.fromkeys("abcdefgh", 1), "8 class(es) have no labelled training article or only one, too few to learn"
                                       " from: a (1), b (1), c (1), d (1), e (1), …\n"),
    ],
)  # fmt: skip
def test_classes_with_at_most_one_article_are_named_once(
    capsys: pytest.CaptureFixture[str], articles: dict[str, int], says: str
) -> None:
    name_rare_classes([ClassCount(name=name, articles=count) for name, count in articles.items()])
    assert capsys.readouterr().out == says
