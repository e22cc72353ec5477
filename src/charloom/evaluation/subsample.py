"""Draw whole articles of a split at random, so that memory and time have a limit on a corpus of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from charloom.text.drawing import draw_articles
from charloom.text.split import EncodedSplit, Positions
from charloom.text.vocab import Codes, Vocabulary


def subsample(split: EncodedSplit, vocabulary: Vocabulary, limit: int, seed: int) -> EncodedSplit:
    """A random sample of the articles of a split, with at most `limit` characters together.

    The sample contains whole articles in the order of the split, and the same seed gives the same sample. If the first
    article drawn is longer than `limit`, the sample is the beginning of this article. A split with at most `limit`
    characters is its own sample.

    Memory grows with `limit`, and by 24 bytes for each article of the split. The articles are drawn in the order in
    which `choose_share` draws the labelled articles, if the seed is the same. So the sample has as many labelled
    articles as fit into it.
    """
    if split.characters <= limit:
        return split
    chosen = np.sort(draw_articles(split.lengths - 1, limit, seed))
    texts = [split.article(int(index))[1:-1] for index in chosen]
    texts[0] = texts[0][:limit]
    codes = _join(texts, vocabulary.eos)
    offsets = np.cumsum([1, *(len(text) + 1 for text in texts)], dtype=np.uint64)
    sample = _with_articles(split, codes, offsets, split.classes[chosen])
    return replace(sample, unknown=int((codes == vocabulary.unk).sum()))


def pieces_of(split: EncodedSplit, symbols: int) -> Iterator[EncodedSplit]:
    """The split in pieces of whole articles. A piece has about so many symbols, or one longer article."""
    ends = split.offsets.astype(np.int64)
    first = 0
    while first < split.articles:
        after = int(np.searchsorted(ends, ends[first] + symbols, side="right")) - 1
        end = max(first + 1, after)
        offsets = (ends[first : end + 1] - ends[first] + 1).astype(np.uint64)
        yield _with_articles(split, split.codes[ends[first] - 1 : ends[end]], offsets, split.classes[first:end])
        first = end


def _with_articles(
    split: EncodedSplit, codes: Codes, offsets: Positions, classes: npt.NDArray[np.uint16]
) -> EncodedSplit:
    """A split like `split`, but with these articles. Its windows are those of a stream, which need no `starts`."""
    return replace(split, codes=codes, offsets=offsets, classes=classes, scope="stream", starts=None)


def _join(texts: list[Codes], eos: int) -> Codes:
    """The codes of a split with these texts: `<eos>` before the first text and after each text."""
    end = np.array([eos], dtype=texts[0].dtype)
    return np.concatenate([end, *(part for text in texts for part in (text, end))])
