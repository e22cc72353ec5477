import pytest
import torch

from charloom.model import CharModel
from charloom.sampling import sample, sample_at_temperatures
from charloom.vocab import Vocabulary
from tests.learning import default_params, encode_sample, small_model


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return encode_sample(tmp_path_factory.mktemp("windows")).vocabulary


@pytest.fixture(scope="module")
def model(vocabulary: Vocabulary) -> CharModel:
    return small_model(len(vocabulary))


def constant_model(vocabulary: Vocabulary, weights: dict[str, float]) -> CharModel:
    """A model whose next character does not depend on what it has read."""
    model = small_model(len(vocabulary))
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.constant_(model.head.bias, -100.0)
    for character, weight in weights.items():
        model.head.bias.data[vocabulary.encode(character).item()] = weight
    return model


def test_the_same_seed_gives_the_same_texts(model: CharModel, vocabulary: Vocabulary) -> None:
    texts = [sample(model, vocabulary, count=3, length=50, temperature=1.0, seed=seed) for seed in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) == 3
    assert {len(text) for text in texts[0]} == {50}


def test_a_text_depends_on_its_number_not_on_how_many_are_drawn(model: CharModel, vocabulary: Vocabulary) -> None:
    few, many = (sample(model, vocabulary, count=count, length=80, temperature=1.0, seed=5) for count in (2, 5))
    assert few == many[:2]


def test_greedy_takes_the_likeliest_and_gives_one_text(vocabulary: Vocabulary) -> None:
    model = constant_model(vocabulary, {"a": 1.0, "b": 1.1})
    assert sample(model, vocabulary, count=9, length=4, temperature=0.0, seed=1) == ["bbbb"]


def test_draws_as_often_as_the_model_says(vocabulary: Vocabulary) -> None:
    model = constant_model(vocabulary, {"a": 0.0, "b": 1.0})
    for temperature, share in ((1.0, 0.7311), (0.5, 0.8808)):  # 1 / (1 + exp(−1 / temperature))
        (text,) = sample(model, vocabulary, count=1, length=20_000, temperature=temperature, seed=1)
        assert text.count("b") / len(text) == pytest.approx(share, abs=0.015)


def test_unknown_is_never_drawn(vocabulary: Vocabulary) -> None:
    model = constant_model(vocabulary, {"a": 0.0})
    model.head.bias.data[vocabulary.unk] = 50.0
    for temperature in (0.0, 1.0):
        assert set(*sample(model, vocabulary, count=1, length=50, temperature=temperature, seed=1)) == {"a"}


def test_samples_that_params_ask_for(model: CharModel, vocabulary: Vocabulary) -> None:
    params = default_params().evaluate.model_copy(
        update={"temperatures": [0.7, 1.0], "samples": 2, "sample_length": 30}
    )
    texts = sample_at_temperatures(model, vocabulary, params)
    assert {temperature: len(drawn) for temperature, drawn in texts.items()} == {0.0: 1, 0.7: 2, 1.0: 2}
