import pytest
import torch

from charloom.model.network import make_state, state_tensors
from tests.learning import small_model

CELLS = ("RNN", "LSTM", "GRU")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_gives_logits_for_every_symbol_and_a_state_a_layer(cell: str, layers: int) -> None:
    model = small_model(7, cell=cell, layers=layers)
    logits, state = model(torch.randint(7, (5, 3)))
    assert logits.shape == (5, 3, 7)
    assert [part.shape for part in state_tensors(state)] == [(layers, 3, 12)] * (2 if cell == "LSTM" else 1)


@pytest.mark.parametrize("cell", CELLS)
def test_text_can_be_streamed(cell: str) -> None:
    model = small_model(7, cell=cell, layers=2)
    ids = torch.randint(7, (9, 3))
    whole, end = model(ids)
    first, state = model(ids[:4])
    second, streamed_end = model(ids[4:], state)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    torch.testing.assert_close(state_tensors(streamed_end), state_tensors(end))


def test_input_is_one_hot_so_that_unseen_symbols_get_no_gradient() -> None:
    model = small_model(7)
    logits, _ = model(torch.tensor([[1], [4]]))
    logits.sum().backward()
    weights = model.get_parameter("rnn.weight_ih_l0")
    assert weights.grad is not None
    used = weights.grad.abs().sum(0) > 0
    assert used.tolist() == [False, True, False, False, True, False, False]


def test_forget_gates_start_open() -> None:
    model = small_model(7, layers=2)
    for layer in range(2):
        biases = model.get_parameter(f"rnn.bias_ih_l{layer}") + model.get_parameter(f"rnn.bias_hh_l{layer}")
        _, forget, _, _ = biases.split(12)
        assert forget.tolist() == [1.0] * 12
        assert float(biases.detach().sum()) == 12


def test_recurrent_weights_start_orthogonal() -> None:
    for gate in small_model(7, cell="GRU").get_parameter("rnn.weight_hh_l0").detach().split(12):
        torch.testing.assert_close(gate @ gate.T, torch.eye(12))


def test_dropout_acts_in_training_only() -> None:
    model = small_model(7, layers=2, dropout=0.5)
    ids = torch.randint(7, (6, 3))
    assert not torch.equal(model(ids)[0], model(ids)[0])
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])


@pytest.mark.parametrize("classes", [0, 2])
def test_dropout_drops_the_same_units_before_the_output_at_every_step(classes: int) -> None:
    model = small_model(7, classes=classes, hidden_size=64, dropout=0.5)
    with torch.no_grad():  # one unit to a symbol, so that a logit of zero is a unit that was dropped
        model.head.weight.copy_(torch.eye(7, 64))
        model.head.bias.zero_()
        logits, _ = model(torch.randint(7, (20, 8)))
    dropped = logits == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert 0.25 < float(dropped[0].float().mean()) < 0.75
    assert len({tuple(units) for units in dropped[0].tolist()}) > 1, "each text has a mask of its own"


def test_size_counts_every_weight() -> None:
    symbols, hidden = 7, 12
    lstm = 4 * hidden * (symbols + hidden + 2)
    assert small_model(symbols).size() == lstm + symbols * (hidden + 1)


OF_EACH_SYMBOL = [[0, 1], [0, 1], [2, 1], [2, 1], [2, 0]]


@pytest.mark.parametrize(
    ("classes", "told"),
    [(0, None), (2, [0, 1]), (2, OF_EACH_SYMBOL)],
    ids=["unconditioned", "a class a text", "a class a symbol"],
)
def test_gradient_is_the_slope_of_the_loss(classes: int, told: list[int] | list[list[int]] | None) -> None:
    model = small_model(5, classes=classes).double()
    ids = torch.randint(5, (6, 2))
    about = None if told is None else torch.tensor(told)

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(ids[:-1], classes=about)[0].flatten(0, 1), ids[1:].flatten())

    loss().backward()
    for weights in model.parameters():
        assert weights.grad is not None
        at = int(weights.grad.abs().argmax())
        with torch.no_grad():
            before = weights.view(-1)[at].item()
            weights.view(-1)[at] = before + 1e-5
            higher = loss().item()
            weights.view(-1)[at] = before - 1e-5
            lower = loss().item()
            weights.view(-1)[at] = before
        assert weights.grad.view(-1)[at].item() == pytest.approx((higher - lower) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_class_has_a_one_and_characters_of_its_own_at_the_input_a_state_to_begin_in_and_weights_at_the_output(
    cell: str,
) -> None:
    model = small_model(7, cell=cell, layers=2, classes=3, class_embedding=2)
    torch.nn.init.normal_(model.class_head)
    plain = small_model(7, cell=cell, layers=2)
    assert model.get_parameter("rnn.weight_ih_l0").shape[1] == 7 + 3 + 1 + 2
    assert {name for name, _ in model.named_parameters()} == {
        "initial",
        "class_head",
        "class_embedding",
        *(name for name, _ in plain.named_parameters()),
    }
    ids, classes = torch.randint(7, (5, 3)), torch.tensor([0, 2, 3])
    logits, end = model(ids, classes=classes)
    (logits[:, 1].sum() + logits[:, 2].sum()).backward()
    weights, initial, head = model.get_parameter("rnn.weight_ih_l0").grad, model.initial.grad, model.class_head.grad
    assert weights is not None
    assert initial is not None
    assert head is not None
    assert (weights[:, 7:11].abs().sum(0) > 0).tolist() == [False, False, True, True]
    embedding = model.class_embedding.grad
    assert embedding is not None
    read = {(int(classes[text]), int(id_)) for text in (1, 2) for id_ in ids[:, text]}
    assert {(class_, id_) for class_, id_ in (embedding.abs().sum(2) > 0).nonzero().tolist()} == read
    assert (initial.abs().sum((0, 3)) > 0).tolist() == [[False, False, True, True]] * 2
    assert (head.abs().sum((1, 2)) > 0).tolist() == [False, False, True, True]
    torch.testing.assert_close(model(ids, classes=classes.expand(5, 3))[0], logits)
    _, state = model(ids[:2], classes=classes)
    torch.testing.assert_close(model(ids[2:], state, classes)[0], logits[2:])
    torch.testing.assert_close(state_tensors(model(ids[2:], state, classes)[1]), state_tensors(end))


def test_a_class_that_changes_within_a_text_is_that_of_each_symbol() -> None:
    model = small_model(7, classes=2)
    torch.nn.init.normal_(model.class_head)
    ids, classes = torch.randint(7, (5, 2)), torch.tensor(OF_EACH_SYMBOL)
    state, logits = None, []
    for id_, class_ in zip(ids, classes, strict=True):
        step, state = model(id_[None], state, class_)
        logits.append(step)
    torch.testing.assert_close(model(ids, classes=classes)[0], torch.cat(logits))


def test_classes_that_change_within_a_text_keep_their_weights_precision_in_bf16() -> None:
    """A product in bf16 of as many rows as a class has there, another number each time, is compiled anew each time."""
    model = small_model(5, classes=2)
    torch.nn.init.normal_(model.class_head)
    output = torch.randn(4, 2, model.params.hidden_size).bfloat16()
    classes = torch.tensor([[0, 1], [0, 1], [2, 1], [2, 0]])
    exact = model.class_logits(output.float(), classes)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.class_logits(output, classes), exact)


def test_told_nothing_it_reads_under_no_class_and_classes_begin_alike() -> None:
    model = small_model(7, classes=2)
    ids = torch.randint(7, (4, 1))
    with torch.no_grad():
        assert torch.equal(model(ids)[0], model(ids, classes=torch.tensor([2]))[0])
        assert torch.equal(model(ids)[0], model(ids, classes=torch.tensor([0]))[0])
        model.initial[:, :, 0] += 0.5
        assert not torch.equal(model(ids)[0], model(ids, classes=torch.tensor([0]))[0])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_states_come_apart_and_together(count: int) -> None:
    tensors = [torch.ones(1) for _ in range(count)]
    assert state_tensors(make_state(tensors)) == tensors
