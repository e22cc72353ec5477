import numpy as np
import pytest

from charloom.text.drawing import draw_articles


@pytest.mark.parametrize(("limit", "articles"), [(1, 1), (20, 1), (35, 2), (59, 3), (60, 4), (1000, 4)])
def test_articles_are_drawn_until_the_limit_is_reached(limit: int, articles: int) -> None:
    lengths = np.array([15, 15, 15, 15])
    drawn = draw_articles(lengths, limit, seed=1)
    assert len(drawn) == articles
    assert drawn.tolist() == draw_articles(lengths, 1000, seed=1)[:articles].tolist()


def test_the_seed_decides_the_order() -> None:
    lengths = np.ones(50, dtype=np.int64)
    assert sorted(draw_articles(lengths, 50, seed=1)) == list(range(50))
    assert draw_articles(lengths, 50, seed=1).tolist() != draw_articles(lengths, 50, seed=2).tolist()
