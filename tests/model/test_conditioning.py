import pytest
import torch
from torch import Tensor, nn

from charloom.cells import CELLS
from charloom.model.conditioning import class_logits
from charloom.model.network import CharModel
from charloom.model.states import state_tensors
from tests.learning import check_gradients, small_model

CLASS_OF_EACH_SYMBOL = [[0, 1], [0, 1], [2, 1], [2, 1], [2, 0]]  # (symbols, texts)
# By class id: whether the loss of the fixture `ids` depends on the class. The last class id is no_class.
IN_LOSS = [False, False, True, True]


def gradient(weights: nn.Parameter) -> Tensor:
    assert weights.grad is not None
    return weights.grad


@pytest.fixture
def model() -> CharModel:
    """A model of seven symbols and three classes. Its classes have an effect, because class_head is not zero."""
    model = small_model(7, layers=2, classes=3, class_embedding=2)
    nn.init.normal_(model.class_head)
    return model


@pytest.fixture
def ids(model: CharModel) -> Tensor:
    """Three texts of five symbols, read with the classes 0, 2 and no_class. The loss has only the last two texts."""
    ids = torch.randint(7, (5, 3))
    logits, _ = model(ids, classes=torch.tensor([0, 2, 3]))
    logits[:, 1:].sum().backward()
    return ids


@pytest.mark.usefixtures("ids")
def test_each_class_has_an_entry_in_the_one_hot_input(model: CharModel) -> None:
    weights = model.get_parameter("rnn.0.weight_ih_l0")
    assert weights.shape[1] == 7 + 4 + 2  # symbols, classes with no_class, size of the embedding
    assert (gradient(weights)[:, 7:11].abs().sum(0) > 0).tolist() == IN_LOSS


def test_each_class_has_an_embedding_of_each_symbol(model: CharModel, ids: Tensor) -> None:
    with_gradient = (gradient(model.class_embedding).abs().sum(2) > 0).nonzero().tolist()
    read = {(class_id, symbol) for text, class_id in ((1, 2), (2, 3)) for symbol in ids[:, text].tolist()}
    assert {(class_id, symbol) for class_id, symbol in with_gradient} == read


@pytest.mark.usefixtures("ids")
def test_each_class_has_an_initial_state_in_each_layer(model: CharModel) -> None:
    assert (gradient(model.initial).abs().sum((0, 3)) > 0).tolist() == [IN_LOSS] * 2


@pytest.mark.usefixtures("ids")
def test_each_class_has_output_weights(model: CharModel) -> None:
    assert (gradient(model.class_head).abs().sum((1, 2)) > 0).tolist() == IN_LOSS


@pytest.mark.parametrize("cell", CELLS)
def test_conditioning_adds_weights_and_keeps_the_names_of_the_others(cell: str) -> None:
    plain, conditioned = (
        {name for name, _ in small_model(7, cell=cell, layers=2, classes=classes).named_parameters()}
        for classes in (0, 3)
    )
    assert conditioned - plain == {"initial", "class_head", "class_embedding"}
    assert plain < conditioned


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_with_a_class_can_be_read_in_pieces(cell: str) -> None:
    model = small_model(7, cell=cell, layers=2, classes=3)
    nn.init.normal_(model.class_head)
    ids, classes = torch.randint(7, (5, 3)), torch.tensor([0, 2, 3])
    whole, end = model(ids, classes=classes)
    _, state = model(ids[:2], classes=classes)
    rest, end_of_rest = model(ids[2:], state, classes)
    torch.testing.assert_close(rest, whole[2:])
    torch.testing.assert_close(state_tensors(end_of_rest), state_tensors(end))


def test_a_class_can_be_given_for_a_text_or_for_each_symbol(model: CharModel) -> None:
    ids, classes = torch.randint(7, (5, 3)), torch.tensor([0, 2, 3])
    torch.testing.assert_close(model(ids, classes=classes.expand(5, 3))[0], model(ids, classes=classes)[0])


def test_if_the_class_changes_within_a_text_each_symbol_is_read_with_its_class() -> None:
    model = small_model(7, classes=2)
    nn.init.normal_(model.class_head)
    ids, classes = torch.randint(7, (5, 2)), torch.tensor(CLASS_OF_EACH_SYMBOL)
    state, logits = None, []
    for step_ids, step_classes in zip(ids, classes, strict=True):
        step, state = model(step_ids[None], state, step_classes)
        logits.append(step)
    torch.testing.assert_close(model(ids, classes=classes)[0], torch.cat(logits))


@pytest.mark.parametrize("classes", [[0, 1], CLASS_OF_EACH_SYMBOL], ids=["a class per text", "a class per symbol"])
def test_gradients_are_the_slopes_of_the_loss(classes: list[int] | list[list[int]]) -> None:
    check_gradients(small_model(5, classes=2), torch.tensor(classes))


def test_class_logits_keep_the_precision_of_the_weights_under_bf16() -> None:
    """Reason: in bf16, oneDNN would compile a kernel for each number of rows, which differs between batches."""
    weights, output = torch.randn(3, 5, 12), torch.randn(4, 2, 12).bfloat16()
    classes = torch.tensor([[0, 1], [0, 1], [2, 1], [2, 0]])
    exact = class_logits(output.float(), classes, weights)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(class_logits(output, classes, weights), exact)


def test_if_no_class_is_given_the_model_reads_with_no_class() -> None:
    model = small_model(7, classes=2)
    nn.init.normal_(model.class_head)
    ids = torch.randint(7, (4, 1))
    assert model.no_class == 2
    assert torch.equal(model(ids)[0], model(ids, classes=torch.tensor([2]))[0])
    assert not torch.equal(model(ids)[0], model(ids, classes=torch.tensor([0]))[0])


def test_before_training_no_class_has_an_effect() -> None:
    model = small_model(7, classes=2)
    ids = torch.randint(7, (4, 1))
    with torch.no_grad():
        assert torch.equal(model(ids)[0], model(ids, classes=torch.tensor([0]))[0])
        model.initial[:, :, 0] += 0.5
        assert not torch.equal(model(ids)[0], model(ids, classes=torch.tensor([0]))[0])
