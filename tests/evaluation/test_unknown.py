"""Characters that are not in the vocabulary."""

import numpy as np
import pytest
import torch

from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.evaluation.measuring import measure_baselines
from charloom.model.scoring import score_articles, surprisals
from charloom.text.vocab import nats_of_unknown
from charloom.training.loop import Training
from charloom.training.parallel import Group
from tests.learning import Encoded, default_params, encode_sample, small_model, train_params


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """The same texts with a vocabulary of 30 characters."""
    return encode_sample(tmp_path_factory.mktemp("limited"), characters=30)


def test_a_smaller_vocabulary_makes_no_simpler_model_look_better(whole: Encoded, limited: Encoded) -> None:
    params = default_params().baselines.model_copy(update={"ngram_order": 3})
    bpc, of_limited = (
        measure_baselines(text.train, text.test, text.vocabulary, AG_NEWS_CLASSES, params, 1).bpc
        for text in (whole, limited)
    )
    assert limited.test.unknown > 0.02 * limited.test.characters
    assert all(of_limited[name] > bits for name, bits in bpc.items())


def test_an_unknown_character_costs_a_model_which_character_it_is(limited: Encoded) -> None:
    symbols = len(limited.vocabulary)
    model = small_model(symbols)
    torch.nn.init.zeros_(model.head.weight)  # so that all symbols have the same probability
    torch.nn.init.zeros_(model.head.bias)
    article = np.array([limited.vocabulary.eos, limited.vocabulary.unk, 3], dtype=np.uint8)
    [surprisal] = surprisals(model, [article])
    assert surprisal.nats == pytest.approx([np.log(symbols) + nats_of_unknown(symbols), np.log(symbols)])


def test_the_bits_of_training_and_scoring_agree(limited: Encoded) -> None:
    """The training split is read once, with weights that do not change."""
    params = train_params(epochs=1.0, learning_rate=1e-9, warmup=0.0)
    training = Training(small_model(len(limited.vocabulary)), limited.train, limited.valid, params, Group())
    for _ in range(training.steps):
        training.train_step()
    scored = score_articles(training.model, limited.train).total.bits_per_character
    assert training.record(validate=False).bpc == pytest.approx(scored, rel=1e-3)


def test_the_cost_is_that_of_a_choice_among_all_other_characters() -> None:
    assert np.exp(nats_of_unknown(32)) == pytest.approx(0x110000 - 30)
