from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from charloom.cells import CELLS
from charloom.model.counting import make_memory
from charloom.model.layers import LARGE
from charloom.model.matching import HISTORY
from charloom.model.memory import Memory, Remembered
from charloom.model.network import MEMORY_INPUTS, CharModel
from charloom.model.states import MemoryState, make_state, state_tensors
from tests.learning import check_gradients, small_model
from tests.model.slow_memory import CLASSES, count_small_text


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_there_are_logits_for_every_symbol_and_a_state_for_every_layer(cell: str, layers: int) -> None:
    model = small_model(7, cell=cell, layers=layers)
    logits, state = model(torch.randint(7, (5, 3)))
    assert logits.shape == (5, 3, 7)
    assert [tensor.shape for tensor in state_tensors(state)] == [(layers, 3, 12)] * len(CELLS[cell].state)


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_can_be_read_in_pieces(cell: str) -> None:
    model = small_model(7, cell=cell, layers=2)
    ids = torch.randint(7, (9, 3))
    whole, end = model(ids)
    first, state = model(ids[:4])
    second, end_of_second = model(ids[4:], state)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    torch.testing.assert_close(state_tensors(end_of_second), state_tensors(end))


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_stacks_the_weights_of_its_registered_gates(cell: str) -> None:
    model = small_model(7, cell=cell)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        assert len(model.rnn[0].get_parameter(name)) == len(CELLS[cell].gates) * 12


def test_only_the_symbols_that_were_read_have_a_gradient_in_the_input_weights() -> None:
    model = small_model(7)
    logits, _ = model(torch.tensor([[1], [4]]))
    logits.sum().backward()
    weights = model.get_parameter("rnn.0.weight_ih_l0")
    assert weights.grad is not None
    read = weights.grad.abs().sum(0) > 0
    assert read.tolist() == [False, True, False, False, True, False, False]


@pytest.mark.parametrize("cell", CELLS)
def test_open_gates_begin_with_a_bias_of_one(cell: str) -> None:
    model = small_model(7, cell=cell, layers=2)
    for layer in range(2):
        biases: list[torch.Tensor] = [bias for name, bias in model.rnn[layer].named_parameters() if "bias" in name]
        gates = torch.stack(biases).sum(0).split(12)
        opened = {name: gate.tolist() for name, gate in zip(CELLS[cell].gates, gates, strict=True)}
        assert opened == {name: [float(name in CELLS[cell].open_gates)] * 12 for name in CELLS[cell].gates}


def test_an_lstm_begins_with_open_forget_gates() -> None:
    _, forget, _, _ = small_model(7, cell="LSTM").get_parameter("rnn.0.bias_ih_l0").split(12)
    assert forget.tolist() == [1.0] * 12


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_weights_begin_orthogonal(cell: str) -> None:
    for gate in small_model(7, cell=cell).get_parameter("rnn.0.weight_hh_l0").detach().split(12):
        torch.testing.assert_close(gate @ gate.T, torch.eye(12))


def test_dropout_acts_in_training_only() -> None:
    model = small_model(7, layers=2, dropout=0.5)
    ids = torch.randint(7, (6, 3))
    assert not torch.equal(model(ids)[0], model(ids)[0])
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])


@pytest.mark.parametrize("classes", [0, 2])
def test_dropout_before_the_output_drops_the_same_units_at_every_step(classes: int) -> None:
    model = small_model(7, classes=classes, hidden_size=64, dropout=0.5)
    with torch.no_grad():  # the logit of symbol i is unit i, so a logit of zero shows that the unit was dropped
        model.head.weight.copy_(torch.eye(7, 64))
        model.head.bias.zero_()
        logits, _ = model(torch.randint(7, (20, 8)))
    dropped = logits == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert 0.25 < float(dropped[0].float().mean()) < 0.75
    assert len({tuple(units) for units in dropped[0].tolist()}) > 1, "the texts have different masks"


def test_size_counts_every_weight() -> None:
    symbols, hidden = 7, 12
    lstm = 4 * hidden * (symbols + hidden + 2)
    assert small_model(symbols, cell="LSTM").size() == lstm + symbols * (hidden + 1)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_the_slopes_of_the_loss(cell: str) -> None:
    check_gradients(small_model(5, cell=cell), None)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_make_state_is_the_inverse_of_state_tensors(count: int) -> None:
    tensors = [torch.ones(1) for _ in range(count)]
    assert state_tensors(make_state(tensors)) == tensors


def model_with_memory(symbols: int) -> CharModel:
    """A model with a memory. Symbol n occurs n times in the text that the memory counted; the last is `<eos>`."""
    model = small_model(symbols, memory=2)
    eos = torch.tensor([symbols - 1])
    text = torch.repeat_interleave(torch.arange(symbols), torch.arange(symbols))
    model.memory = make_memory(torch.cat([eos, text]), symbols, symbols - 1, 2)
    torch.nn.init.normal_(model.head.weight)
    return model


def test_the_state_of_a_model_with_a_memory_includes_the_last_symbols() -> None:
    model, ids = model_with_memory(7), torch.randint(7, (HISTORY + 9, 3))
    whole, end = model(ids)
    first, state = model(ids[:4])
    second, end_of_second = model(ids[4:], state)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    for each in (end, end_of_second):
        assert isinstance(each, MemoryState)
        assert torch.equal(each.cursor.recent, ids[-HISTORY:])


@pytest.mark.parametrize("symbols", [5, MEMORY_INPUTS, MEMORY_INPUTS + 6])
def test_the_network_reads_the_memory_for_the_most_frequent_symbols(symbols: int) -> None:
    model = model_with_memory(symbols)
    torch.nn.init.zeros_(model.memory_gate.bias)  # so the probabilities reach the logits only through the network
    probabilities = torch.full((1, 1, symbols), 1 / symbols, requires_grad=True)
    logits, _ = model(torch.tensor([[1]]), remembered=Remembered(probabilities))
    logits[0, 0, 0].backward()
    assert probabilities.grad is not None
    most_frequent = range(max(0, symbols - MEMORY_INPUTS), symbols)
    assert probabilities.grad[0, 0].nonzero()[:, 0].tolist() == [*most_frequent]


@pytest.fixture(scope="module")
def memory() -> Memory:
    """A memory of eight symbols that counts the articles of each of the CLASSES."""
    return count_small_text(order=3, class_order=2).memory


def conditioned_model(memory: Memory) -> CharModel:
    model = small_model(8, classes=CLASSES, memory=3, class_memory=2)
    model.memory = memory
    return model


@pytest.mark.parametrize("given", ["by text", "by symbol"])
def test_before_training_the_class_ratios_multiply_the_probabilities_of_the_memory(memory: Memory, given: str) -> None:
    model, ids = conditioned_model(memory), torch.randint(7, (9, CLASSES + 1))
    classes = torch.arange(CLASSES + 1)  # the last one means that no class is given
    if given == "by symbol":
        classes = torch.randint(CLASSES + 1, (9, CLASSES + 1))
    remembered, _ = memory.read(ids, None, classes)
    assert remembered.class_ratios is not None
    products = remembered.probabilities * remembered.class_ratios
    expected = products / products.sum(-1, keepdim=True)
    assert not torch.allclose(expected, remembered.probabilities, atol=1e-2)
    for logits, _ in (model(ids, classes=classes), model(ids, classes=classes, remembered=remembered)):
        torch.testing.assert_close(torch.softmax(logits, -1), expected, rtol=1e-4, atol=1e-6)


def test_without_a_class_a_conditioned_model_begins_as_the_memory(memory: Memory) -> None:
    model, ids = conditioned_model(memory), torch.randint(7, (9, 2))
    expected = memory.read(ids, None)[0].probabilities
    for classes in (None, torch.tensor([CLASSES, CLASSES])):
        logits, _ = model(ids, classes=classes)
        torch.testing.assert_close(torch.softmax(logits, -1), expected, rtol=1e-4, atol=1e-6)


def test_the_network_decides_how_much_the_class_ratios_count(memory: Memory) -> None:
    """The second output of `memory_gate` is the factor of their logarithms."""
    model, ids, classes = conditioned_model(memory), torch.randint(7, (9, 2)), torch.tensor([0, 1])
    remembered, _ = memory.read(ids, None, classes)
    assert remembered.class_ratios is not None
    with torch.no_grad():
        before, _ = model(ids, classes=classes)
        model.memory_gate.bias[1] += 0.5
        after, _ = model(ids, classes=classes)
    torch.testing.assert_close(after - before, 0.5 * remembered.class_ratios.log(), rtol=1e-4, atol=1e-4)


def test_a_text_with_a_class_can_be_read_in_pieces(memory: Memory) -> None:
    """The class of the second column changes between the pieces. No class is given in the second piece."""
    model, ids = conditioned_model(memory), torch.randint(7, (HISTORY + 9, 2))
    torch.nn.init.normal_(model.head.weight)
    classes = torch.tensor([[0, 1]] * 20 + [[CLASSES, CLASSES]] * 5 + [[2, 1]] * (HISTORY - 16))
    ids[[19, 24]] = 6
    whole, _ = model(ids, classes=classes)
    state, pieces = None, []
    for piece in (slice(20), slice(20, 25), slice(25, None)):
        logits, state = model(ids[piece], state, classes[piece])
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("classes", "changes", "in_memory"),
    [(4, {}, 4), (0, {}, 0), (4, {"memory": 0}, 0), (4, {"class_memory": 0}, 0)],
    ids=str,
)
def test_only_a_conditioned_model_with_a_class_memory_counts_the_classes(
    classes: int, changes: dict[str, int], in_memory: int
) -> None:
    model = small_model(7, classes=classes, **{"memory": 2, "class_memory": 3, **changes})
    assert model.classes_in_memory == in_memory
    if model.params.memory:
        assert model.memory_gate.out_features == (2 if in_memory else 1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("steps", [1, 9])
def test_a_large_vocabulary_is_looked_up_with_the_same_result(
    cell: str, classes: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(LARGE + 44, cell=cell, layers=2, classes=classes, class_embedding=5).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    ids = torch.randint(LARGE + 44, (steps, 4))
    class_ids = torch.tensor([0, 1, 2, 3]) if classes else None
    results = []
    for large in (LARGE, 10**9):
        monkeypatch.setattr("charloom.model.layers.LARGE", large)
        model.zero_grad()
        logits, state = model(ids, classes=class_ids)
        logits.square().sum().backward()
        gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
        results.append([logits, *state_tensors(state), *gradients])
    torch.testing.assert_close(results[0], results[1])


class NoteInputs(TorchFunctionMode):
    """Notes the size of the inputs of each call of torch.lstm."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.lstm:
            self.sizes.append(args[0].shape[-1])
        return func(*args, **(kwargs or {}))


def test_of_a_large_vocabulary_only_the_symbols_that_occur_are_multiplied() -> None:
    model = small_model(5000)
    with NoteInputs() as inputs:
        model(torch.tensor([[7, 4999], [7, 12]]))
    assert inputs.sizes == [64]


def test_the_weights_stay_in_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded steps on a GPU have the addresses. There, `flatten_parameters` moves the weights to other memory."""
    model = small_model(5000)
    moved: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.LSTM, "flatten_parameters", moved.append)
    for _ in range(2):
        model(torch.tensor([[7, 4999], [7, 12]]))
        model.rnn[0](torch.zeros(1, 1, model.input_size))
    assert not moved
