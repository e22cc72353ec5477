"""Build the vocabulary: count the characters of the training split."""

from pathlib import Path

from charloom.corpus.articles import read_articles
from charloom.files import write_json
from charloom.params import Params
from charloom.stage import run_stage
from charloom.text.vocab import Vocabulary


def build_vocab(params: Params) -> None:
    texts = (article.text for article in read_articles(Path("data/raw/train.csv")))
    vocabulary = Vocabulary.build(
        texts, min_count=params.vocab.min_count, max_size=params.vocab.max_size, normalize=params.data.normalize
    )
    vocabulary.save(Path("data/vocab.json"))
    counts = {"symbols": len(vocabulary), "characters_seen": sum(vocabulary.counts)}
    write_json(Path("details/vocab.json"), counts)


if __name__ == "__main__":
    run_stage("vocab", build_vocab)
