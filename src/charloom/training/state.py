"""Saving a training as a checkpoint (`snapshot`), and continuing a training from a checkpoint (`resume`, `restore`)."""

from __future__ import annotations

import math
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Any, cast

import torch
from pydantic import BaseModel
from torch import Tensor

from charloom.cells import CELLS
from charloom.errors import InputError, warn
from charloom.model.device import describe_device
from charloom.model.saved import TensorSpec, tensor_specs
from charloom.model.states import make_state, state_tensors
from charloom.training.checkpoint import Checkpoint, Checkpoints
from charloom.training.history import Record
from charloom.training.sampler import SAMPLES

if TYPE_CHECKING:
    from charloom.training.loop import Training

ADAM_SLOTS = ("exp_avg", "exp_avg_sq")  # Adam's two moving averages for each weight
MAX_ADAM_STEP = 2**24  # Adam counts its steps in float32, and the count cannot grow beyond this number


class Position(BaseModel, strict=True, extra="forbid", allow_inf_nan=False):
    """How far a training has come. This is the JSON part of its checkpoint."""

    step: int
    best_bpc: float | None
    fetched: list[list[float]]  # loss and gradient norm of each step since the last record
    history: list[list[int | float | None]]  # the fields of each Record
    samples: list[dict[str, Any]]  # the fields of each TrainingSample
    made_with: str  # the release of torch, and the kind of device


def snapshot(training: Training) -> Checkpoint:
    """Make a checkpoint of the training. Any number of processes can continue from it to the same result.

    All processes of the group must call this function at the same step, because each has a part of the hidden state.
    """
    training.fetch_losses()
    tensors = {f"model.{name}": tensor for name, tensor in training.model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in training.best.items()}
    for index, slots in training.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": tensor for slot, tensor in slots.items()}
    for index, tensor in enumerate(state_tensors(training.state)):
        tensors[f"state.{index}"] = training.group.gather(tensor, 1)
    position = {
        "step": training.step,
        "best_bpc": training.best_bpc if math.isfinite(training.best_bpc) else None,
        "fetched": training.losses_since_record,
        "history": [list(astuple(record)) for record in training.history],
        "samples": [asdict(each) for each in training.samples],
        "made_with": made_with(training),
    }
    # These are copies, because the checkpoint is written while the next steps change the weights.
    return Checkpoint({name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}, position)


def made_with(training: Training) -> str:
    """What decides the rounding of a training, besides its parameters: the release of torch and the kind of device."""
    return f"torch {torch.__version__} on {describe_device(training.device)}"


def resume(training: Training, checkpoints: Checkpoints) -> None:
    """Continue from the newest checkpoint, if there is a checkpoint. Process 0 reads the file for all processes.

    Raises InputError if the checkpoint is undamaged but belongs to another training.
    """
    if saved := training.group.broadcast(checkpoints.read() if training.group.leads else None):
        try:
            restore(training, Checkpoint.from_bytes(saved))
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise InputError(
                f"{checkpoints}: the checkpoint does not fit this training ({error}); delete the folder to start again"
            ) from None


def restore(training: Training, checkpoint: Checkpoint) -> None:
    """Continue from a checkpoint of the same training. A checkpoint of another training raises an exception."""
    position = Position.model_validate(checkpoint.position)
    if tensor_specs(checkpoint.tensors) not in _expected_specs(training):
        raise ValueError("its tensors have other names, shapes or types")
    if not 0 < position.step <= training.steps:
        raise ValueError(f"its step {position.step} is not from 1 to {training.steps}")
    adam_steps = {float(slot) for name, slot in checkpoint.group("optimizer").items() if name.endswith(".step")}
    if adam_steps != {float(min(position.step, MAX_ADAM_STEP))}:
        raise ValueError(f"its step {position.step} and its optimizer's count of steps contradict each other")
    if position.made_with != made_with(training):
        warn(
            f"this training continues a checkpoint of {position.made_with} with {made_with(training)}, so it"
            " ends in other bytes than an undisturbed training"
        )
    training.model.load_state_dict(checkpoint.group("model"))
    training.best = checkpoint.group("best")
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in checkpoint.group("optimizer").items():
        index, _, slot = name.partition(".")
        slots.setdefault(int(index), {})[slot] = tensor
    training.optimizer.load_state_dict({**training.optimizer.state_dict(), "state": slots})
    states = checkpoint.group("state")
    training.state = make_state([states[name][:, training.columns].to(training.device) for name in sorted(states)])
    training.step = position.step
    training.best_bpc = math.inf if position.best_bpc is None else position.best_bpc
    training.losses_since_record = position.fetched
    training.samples = SAMPLES.validate_python(position.samples)
    training.history = [Record(*cast("list[Any]", values)) for values in position.history]


def _expected_specs(training: Training) -> list[dict[str, TensorSpec]]:
    """The shapes and types of tensors that a checkpoint of this training can have, each possibility as one dictionary.

    There are two possibilities if train.precision is bf16: the hidden state can be float32 or bfloat16.
    """
    params, weights = training.model.params, tensor_specs(training.model.state_dict())
    specs = {f"{group}.{name}": spec for group in ("model", "best") for name, spec in weights.items()}
    for index, spec in enumerate(weights.values()):
        specs[f"optimizer.{index}.step"] = torch.Size(), torch.float32
        specs |= {f"optimizer.{index}.{slot}": spec for slot in ADAM_SLOTS}
    names = [f"state.{index}" for index in range(len(CELLS[params.cell].state))]
    shape = torch.Size((params.layers, training.params.batch_size, params.hidden_size))
    types = (torch.float32, torch.bfloat16) if training.params.precision == "bf16" else (torch.float32,)
    return [specs | dict.fromkeys(names, (shape, dtype)) for dtype in types]
