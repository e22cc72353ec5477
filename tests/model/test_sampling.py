import math
from bisect import bisect_right
from typing import Any

import pytest
import torch

from charloom.cells import CELLS
from charloom.errors import InputError
from charloom.model.network import CharModel
from charloom.model.sampling import DRAWS, GROUPS, TILE, Sampling, sample, stream
from charloom.text.vocab import Vocabulary
from tests.learning import Encoded, encode_sample, remembering_model, small_model


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def vocabulary(encoded: Encoded) -> Vocabulary:
    return encoded.vocabulary


@pytest.fixture(scope="module", params=[0, 4], ids=["no-memory", "memory"])
def model(encoded: Encoded, request: pytest.FixtureRequest) -> CharModel:
    return remembering_model(encoded, memory=request.param)


def constant_model(vocabulary: Vocabulary, weights: dict[str, float]) -> CharModel:
    """A model whose prediction does not depend on what it has read. `weights` are the logits of some characters."""
    model = small_model(len(vocabulary))
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.constant_(model.head.bias, -100.0)
    for character, weight in weights.items():
        model.head.bias.data[vocabulary.encode(character).item()] = weight
    return model


def draw(model: CharModel, vocabulary: Vocabulary, count: int = 1, *, first: int = 0, **how: Any) -> list[str]:
    """Draw texts without a prompt."""
    return sample(model, vocabulary, [""] * count, Sampling(**how), first)


def test_the_same_seed_gives_the_same_texts(model: CharModel, vocabulary: Vocabulary) -> None:
    texts = [draw(model, vocabulary, 3, length=50, seed=seed) for seed in (5, 5, 6)]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) == 3
    assert {len(text) for text in texts[0]} == {50}


def test_a_longer_text_begins_with_the_shorter_one(model: CharModel, vocabulary: Vocabulary) -> None:
    (short,), (long,) = (draw(model, vocabulary, length=length) for length in (DRAWS - 1, DRAWS + 20))
    assert long.startswith(short)
    assert len(long) == DRAWS + 20


@pytest.mark.parametrize(("cell", "memory"), [*((cell, 0) for cell in CELLS), ("LSTM", 4)])
def test_the_logits_of_a_sample_are_the_same_alone_and_with_others(encoded: Encoded, cell: str, memory: int) -> None:
    """At this size, the last bits of a row of a matrix product depend on the number of rows."""
    model, vocabulary = remembering_model(encoded, memory=memory, cell=cell, hidden_size=256), encoded.vocabulary
    prompts = [("", "Stocks ", "Oil")[number % 3] for number in range(TILE + 3)]
    how = Sampling(length=12, seed=5)
    seen: list[torch.Tensor] = []
    model.register_forward_hook(lambda _model, _inputs, output: seen.append(output[0][0]))
    together = sample(model, vocabulary, prompts, how)
    calls = 3 * (len("Stocks ") + how.length)  # three groups for each symbol of the first tile
    groups_of_tile = {
        0: [seen[:calls][group::3] for group in range(3)],
        1: [seen[calls:][group::2] for group in (0, 1)],
    }
    for number in (0, 1, 7, 8, 40, TILE - 1, TILE, TILE + 2):
        seen = []
        assert sample(model, vocabulary, [prompts[number]], how, first=number) == [together[number]]
        tile, column = divmod(number, TILE)
        group = bisect_right(GROUPS, column) - 1
        for alone, with_others in zip(seen, groups_of_tile[tile][group], strict=False):
            assert len(alone) == len(with_others)
            assert torch.equal(alone[column - GROUPS[group]], with_others[column - GROUPS[group]])


def test_sampling_leaves_a_model_in_training_mode(encoded: Encoded) -> None:
    model = remembering_model(encoded).train()
    draw(model, encoded.vocabulary, length=3)
    assert model.training


def test_the_numbering_can_start_anywhere(model: CharModel, vocabulary: Vocabulary) -> None:
    texts = draw(model, vocabulary, TILE + 10, length=15)
    assert draw(model, vocabulary, 20, first=TILE - 10, length=15) == texts[TILE - 10 : TILE + 10]
    assert len(set(texts)) == len(texts)


def test_temperature_zero_takes_the_likeliest_character(vocabulary: Vocabulary) -> None:
    model = constant_model(vocabulary, {"a": 1.0, "b": 1.1})
    assert draw(model, vocabulary, 2, length=4, temperature=0.0) == ["bbbb", "bbbb"]


@pytest.mark.parametrize("temperature", [1e-320, 1e-9])
def test_a_temperature_near_zero_draws_the_greedy_text(
    model: CharModel, vocabulary: Vocabulary, temperature: float
) -> None:
    cold, greedy = (draw(model, vocabulary, length=40, temperature=each) for each in (temperature, 0.0))
    assert cold == greedy


def test_characters_are_drawn_with_the_probabilities_of_the_model(vocabulary: Vocabulary) -> None:
    model = constant_model(vocabulary, {"a": 0.0, "b": 1.0})
    for temperature, share in ((1.0, 0.7311), (0.5, 0.8808)):  # 1 / (1 + exp(−1 / temperature))
        texts = "".join(draw(model, vocabulary, TILE, length=300, temperature=temperature))
        assert texts.count("b") / len(texts) == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(
    ("how", "shares"),  # of a, b, c and d, whose probabilities are 0.1, 0.2, 0.3 and 0.4
    [
        ({}, (0.1, 0.2, 0.3, 0.4)),
        ({"top_k": 2}, (0, 0, 3 / 7, 4 / 7)),
        ({"top_k": 1}, (0, 0, 0, 1)),
        ({"top_k": 1000}, (0.1, 0.2, 0.3, 0.4)),
        ({"top_p": 0.65}, (0, 0, 3 / 7, 4 / 7)),
        ({"top_p": 0.75}, (0, 2 / 9, 3 / 9, 4 / 9)),
        ({"top_p": 1e-9}, (0, 0, 0, 1)),
        ({"top_p": 1.0}, (0.1, 0.2, 0.3, 0.4)),
        ({"top_k": 3, "top_p": 0.75}, (0, 0, 3 / 7, 4 / 7)),  # after top_k, d alone has 4/9, d and c have 7/9
    ],
)
def test_top_k_and_top_p_keep_the_ratios_of_the_likeliest_characters(
    vocabulary: Vocabulary, how: dict[str, Any], shares: tuple[float, ...]
) -> None:
    model = constant_model(
        vocabulary, {character: math.log(10 * p) for character, p in zip("abcd", (0.1, 0.2, 0.3, 0.4), strict=True)}
    )
    texts = "".join(draw(model, vocabulary, TILE, length=150, **how))
    for character, share in zip("abcd", shares, strict=True):
        assert texts.count(character) / len(texts) == pytest.approx(share, abs=0.02 if share % 1 else 0)


def test_unk_is_never_drawn(vocabulary: Vocabulary) -> None:
    model = constant_model(vocabulary, {"a": 0.0})
    model.head.bias.data[vocabulary.unk] = 50.0
    for temperature in (0.0, 1.0):
        assert set(*draw(model, vocabulary, length=50, temperature=temperature)) == {"a"}


def test_a_text_continues_its_prompt(vocabulary: Vocabulary) -> None:
    """The model of this test predicts the symbol that it has just read."""
    model = small_model(len(vocabulary), cell="RNN", hidden_size=len(vocabulary))
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        model.get_parameter("rnn.0.weight_ih_l0").fill_diagonal_(3.0)
        model.head.weight.fill_diagonal_(1.0)
    prompts = ["abc", "", "xy", "a\n"]
    assert sample(model, vocabulary, prompts, Sampling(length=3, temperature=0)) == ["ccc", "\n\n\n", "yyy", "\n\n\n"]


def test_a_prompt_is_normalized_as_the_corpus_was() -> None:
    prompts, how = ["caf\u00e9", "cafe\u0301"], Sampling(length=20, seed=3)

    def texts(vocabulary: Vocabulary) -> list[str]:
        return [sample(small_model(len(vocabulary)), vocabulary, [prompt], how)[0] for prompt in prompts]

    unchanged, composed = (Vocabulary.build(["caf\u00e9\u0301"], normalize=form) for form in ("none", "NFC"))
    assert len(set(texts(composed))) == 1
    assert len(set(texts(unchanged))) == 2


def test_until_eos_ends_each_text_at_the_end_of_its_article(vocabulary: Vocabulary) -> None:
    model = constant_model(vocabulary, {"a": 0.0})
    model.head.bias.data[vocabulary.eos] = -2.0
    texts = draw(model, vocabulary, TILE + 5, length=20, until_eos=True)
    assert all(text.count("\n") == text.endswith("\n") for text in texts)
    assert all(text.endswith("\n") or len(text) == 20 for text in texts)
    assert len({len(text) for text in texts}) > 5
    longer = draw(model, vocabulary, TILE + 5, length=20)
    assert all(long.startswith(text) for text, long in zip(texts, longer, strict=True))


def test_a_stream_yields_each_character_and_the_end_of_each_text(model: CharModel, vocabulary: Vocabulary) -> None:
    prompts, how = ["Stocks", "", "Oil"], Sampling(length=5)
    steps = list(stream(model, vocabulary, prompts, how))
    texts = sample(model, vocabulary, prompts, how)
    for index, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        drawn = [(step, character) for step, pairs in enumerate(steps) for of, character in pairs if of == index]
        assert drawn == [*enumerate(text, start=len(prompt)), (len(prompt) + 4, "")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"length": 0},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_the_error_names_a_value_out_of_range_and_the_range(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(InputError) as raised:
        Sampling(**wrong)
    assert str(raised.value).startswith(f"{name.replace('_', '-')} = {value}: must be ")


def test_each_text_is_drawn_with_its_class(vocabulary: Vocabulary) -> None:
    model = small_model(len(vocabulary), classes=2)
    torch.nn.init.normal_(model.initial, std=3.0)
    torch.nn.init.normal_(model.class_head)
    how = Sampling(length=30)
    together = sample(model, vocabulary, [""] * 3, how, classes=[0, 1, 2])
    for index in range(3):
        assert sample(model, vocabulary, [""], how, first=index, classes=[index]) == together[index : index + 1]
    assert sample(model, vocabulary, [""], how, first=2) == together[2:]
    assert sample(model, vocabulary, [""], how, first=1) != together[1:2]
