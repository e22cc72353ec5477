import math
from pathlib import Path
from typing import Any

import pytest
import torch

from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.errors import RunError
from charloom.model.states import make_state, state_tensors
from charloom.training.checkpoint import Checkpoint, Checkpoints
from charloom.training.history import Record
from charloom.training.loop import Training, run_training
from tests.learning import VARIANTS, Encoded, encode_sample, never, run, same_weights, small_training


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def test_training_lowers_the_loss(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded, {"hidden_size": 32}, epochs=0.5, learning_rate=0.02)
    heard = run(training, tmp_path)
    assert heard == training.history
    assert heard[0].bpc > 5
    assert heard[-1].bpc < 4.3
    assert training.best_bpc < 4.3


def test_records_come_every_log_every_and_validate_every_steps(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded, log_every=5, validate_every=7, epochs=0.02)
    heard = run(training, tmp_path)
    steps = training.steps
    expected = sorted({*range(5, steps + 1, 5), *range(7, steps + 1, 7), steps})
    assert [record.step for record in heard] == expected
    validated = [record.step for record in heard if record.valid_bpc is not None]
    assert validated == sorted({*range(7, steps + 1, 7), steps})
    assert heard[-1].characters == steps * 8 * 20
    assert heard[-1].epoch == pytest.approx(0.02, rel=0.05)


def test_the_best_weights_are_kept(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded, learning_rate=0.05, schedule="constant", grad_clip=100.0, validate_every=5)
    seen: list[tuple[float, dict[str, torch.Tensor]]] = []

    def keep(record: Record) -> None:
        if record.valid_bpc is not None:
            weights = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
            seen.append((record.valid_bpc, weights))

    run_training(training, Checkpoints(tmp_path), [keep], never)
    best_bpc, best = min(seen, key=lambda pair: pair[0])
    assert training.best_bpc == best_bpc
    assert all(torch.equal(best[name], tensor) for name, tensor in training.model.state_dict().items())


def learning_rate_at(training: Training, step: int) -> float:
    training.step = step
    return training.learning_rate()


def test_the_learning_rate_rises_and_then_falls_along_a_cosine(encoded: Encoded) -> None:
    training = small_training(encoded, epochs=1.0, warmup=0.1, learning_rate=0.01)
    rates = [learning_rate_at(training, step) for step in range(training.steps)]
    warmup = math.ceil(0.1 * training.steps)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    assert rates[(warmup + training.steps) // 2] == pytest.approx(0.005, rel=0.02)
    assert rates[-1] < 1e-5


def test_with_a_constant_schedule_the_learning_rate_is_constant(encoded: Encoded) -> None:
    training = small_training(encoded, schedule="constant", warmup=0.0, learning_rate=0.01)
    assert {learning_rate_at(training, step) for step in (0, 5, training.steps - 1)} == {0.01}


def test_the_recorded_gradient_norm_is_the_norm_before_clipping(encoded: Encoded, tmp_path: Path) -> None:
    heard = run(small_training(encoded, grad_clip=1e-9, schedule="constant"), tmp_path)
    assert min(record.grad_norm for record in heard) > 1e-3


@pytest.mark.parametrize(("model", "changes"), VARIANTS)
def test_the_same_seed_gives_the_same_bytes(
    encoded: Encoded, tmp_path: Path, model: dict[str, Any], changes: dict[str, Any]
) -> None:
    twins = [small_training(encoded, model, **changes) for _ in range(2)]
    heard = [run(twin, tmp_path / str(index)) for index, twin in enumerate(twins)]
    assert heard[0] == heard[1]
    assert same_weights(*twins)


def test_a_loss_that_is_not_finite_ends_the_training_and_keeps_the_last_checkpoint(
    encoded: Encoded, tmp_path: Path
) -> None:
    training = small_training(encoded, log_every=1, validate_every=10)

    def spoil(record: Record) -> None:
        if record.step == 13:
            training.model.head.bias.data[0] = math.nan

    with pytest.raises(RunError, match=r"loss is nan at step 14 of .*learning rate .*gradient norm .*lower"):
        run_training(training, Checkpoints(tmp_path), [spoil], never)
    saved = Checkpoints(tmp_path).read()
    assert saved is not None
    assert Checkpoint.from_bytes(saved).position["step"] == 10


def test_bits_per_character_include_eos_but_divide_by_characters(encoded: Encoded, tmp_path: Path) -> None:
    record = run(small_training(encoded), tmp_path)[0]
    symbols = encoded.train.characters + encoded.train.articles
    assert record.bpc == pytest.approx(record.loss_nats / math.log(2) * symbols / encoded.train.characters)


def test_a_window_that_starts_an_article_does_not_get_the_carried_state(encoded: Encoded) -> None:
    """Two trainings read the same step after different states. Only the lanes that continue an article differ."""
    twins = [small_training(encoded) for _ in range(2)]
    batches, eos = twins[0].batches, encoded.vocabulary.eos
    step = next(step for step in range(1, batches.steps_per_epoch) if eos in batches.at(0, step)[0])
    for twin, value in zip(twins, (0.0, 0.5), strict=True):
        twin.train_step()
        twin.step = step
        twin.state = make_state([torch.full_like(tensor, value) for tensor in state_tensors(twin.state)])
        twin.train_step()
    starts_article = batches.at(0, step)[0] == eos
    for one, other in zip(state_tensors(twins[0].state), state_tensors(twins[1].state), strict=True):
        assert (one == other).all(2)[0].tolist() == starts_article.tolist()


@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_a_conditioned_training_learns_every_class_and_no_class(
    encoded: Encoded, tmp_path: Path, batching: str
) -> None:
    training = small_training(encoded, {"classes": 4}, batching=batching)
    assert [class_count.name for class_count in training.class_counts] == list(AG_NEWS_CLASSES)
    assert sum(class_count.articles for class_count in training.class_counts) == encoded.train.articles
    run(training, tmp_path)
    model = training.model
    class_inputs = model.get_parameter("rnn.0.weight_ih_l0")[:, len(encoded.vocabulary) : model.one_hot_size]
    for weights in (class_inputs.T, model.initial[0, 0], model.class_head, model.class_embedding):
        assert len(weights.unique(dim=0)) == 5


def test_initial_states_are_learned_only_from_windows_that_start_an_article(encoded: Encoded) -> None:
    training = small_training(encoded, {"classes": 4})
    training.train_step()
    batches, eos = training.batches, encoded.vocabulary.eos
    steps = range(1, batches.steps_per_epoch)
    for starts_article in (True, False):
        training.step = next(step for step in steps if (eos in batches.at(0, step)[0]) == starts_article)
        training.train_step()
        gradient = training.model.initial.grad
        assert gradient is not None
        assert bool(gradient.any()) == starts_article


def test_metrics_and_details_contain_the_numbers_of_the_training(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded)
    heard = run(training, tmp_path)
    assert training.metrics() == {"valid_bpc": training.best_bpc, "train_bpc": heard[-1].bpc}
    assert training.details() == {
        "steps": training.steps,
        "parameters": training.model.size(),
        "characters": training.steps * 8 * 20,
        "final_bpc": heard[-1].bpc,
        "best_valid_bpc": training.best_bpc,
    }


def test_train_characters_decides_the_number_of_steps(encoded: Encoded) -> None:
    training = small_training(encoded, characters=4_000)
    assert training.steps == 4_000 / (training.params.batch_size * encoded.train.length)
    assert small_training(encoded, characters=1).steps == 1
