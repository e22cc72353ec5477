"""The training loop: batches, optimizer, schedule, validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, cast

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor
from torch.nn import functional as F

from charloom.errors import InputError, RunError
from charloom.model.device import set_precision
from charloom.model.network import CharModel, State, join, parts
from charloom.model.saved import Checkpoint, Checkpoints, Layout, layout_of
from charloom.model.scoring import score_articles
from charloom.params import TrainParams
from charloom.text.windows import Windows
from charloom.training.batches import KINDS, Labels
from charloom.training.history import Listener, Record
from charloom.training.optimizer import adam, clip_gradients
from charloom.training.parallel import Group


class Interrupted(RunError):
    """Training was asked to stop; its checkpoint is on disk."""


class Position(BaseModel, strict=True, extra="forbid", allow_inf_nan=False):
    """Where a training stands, as its checkpoint says beside the tensors."""

    step: int
    best_bpc: float | None
    fetched: list[list[float]]
    history: list[list[int | float | None]]  # the fields of each Record


class Training:
    """A training and where it stands: all that a checkpoint holds, and all that a step changes."""

    def __init__(
        self,
        model: CharModel,
        train: Windows,
        valid: Windows,
        params: TrainParams,
        group: Group,
    ) -> None:
        self.group = group
        self.device = device = group.device
        self.model = model.to(device)
        self.params = params
        self.valid = valid
        columns = group.share(params.batch_size)
        self.batches = KINDS[params.batching](train, params.batch_size, params.seed, device, columns)
        self.topics = train.topics if model.conditioned else []
        self._labels = (
            Labels(train, model.no_class, model.params.class_dropout, params.seed, device)
            if model.conditioned
            else None
        )
        self.steps = max(1, round(params.epochs * self.batches.steps_per_epoch))
        self.optimizer = adam(self.model, params.learning_rate)
        self._parameters = list(self.model.parameters())
        self.step = 0
        self.state: State | None = None  # of this process' columns
        self.history: list[Record] = []
        self.best_bpc = math.inf
        self.best = self._weights()
        self._eos = int(train.codes[0])
        self._columns = columns
        self._precision = set_precision(params.precision, device)
        self._averaging = self.group.wrap(self.model)
        self._pending: list[Tensor] = []  # loss and gradient norm of steps not yet in a record
        self._fetched: list[list[float]] = []  # the same, brought from the device
        self._bpc_per_nat = (train.characters + train.articles) / train.characters / math.log(2)

    def train_step(self) -> None:
        """Read one batch and learn from it; on a GPU nothing here waits for it."""
        epoch, step = divmod(self.step, self.batches.steps_per_epoch)
        symbols = self.batches.at(epoch, step)
        classes = self._classes(epoch, step)
        self.state = self._state_before(symbols, classes) if step and self.batches.carries_state else None
        if self.model.params.dropout:
            torch.manual_seed(self._step_seed())
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        with self._precision:
            logits, state = self._averaging(symbols[:-1], self.state, classes)
            loss = F.cross_entropy(logits.flatten(0, 1), symbols[1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        norm = clip_gradients(self._parameters, self.params.grad_clip)
        self.optimizer.step()
        self.state = join([part.detach() for part in parts(state)])  # where back-propagation is truncated
        self._pending.append(torch.stack((loss.detach(), norm)))
        self.step += 1

    def learning_rate(self) -> float:
        """The step size now: a linear warm-up, then constant, or half a cosine down to zero."""
        params = self.params
        warmup = params.warmup * self.steps
        if self.step < warmup:
            return params.learning_rate * (self.step + 1) / (warmup + 1)
        if params.schedule == "constant":
            return params.learning_rate
        progress = (self.step - warmup) / (self.steps - warmup)
        return params.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def record(self, *, validate: bool) -> Record:
        """Sum up the steps since the last record, after scoring the validation split where asked."""
        self._fetch()
        losses, norms = zip(*self._fetched, strict=True)
        self._fetched.clear()
        loss = math.fsum(losses) / len(losses)
        scores = score_articles(self.model, self.valid, self.device) if validate and self.group.leads else None
        if scores and scores.bits_per_character < self.best_bpc:
            self.best_bpc, self.best = scores.bits_per_character, self._weights()
        record = Record(
            step=self.step,
            epoch=self.step / self.batches.steps_per_epoch,
            characters=self.step * self.batches.batch_size * self.batches.length,
            learning_rate=self.learning_rate(),
            grad_norm=max(norms),
            loss_nats=loss,
            bpc=loss * self._bpc_per_nat,
            valid_loss_nats=scores.loss_nats if scores else None,
            valid_bpc=scores.bits_per_character if scores else None,
        )
        self.history.append(record)
        return record

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on from here to the same bytes, in any number of processes."""
        self._fetch()
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{slot}": tensor for slot, tensor in slots.items()}
        tensors |= {f"state.{index}": self.group.gather(part, 1) for index, part in enumerate(parts(self.state))}
        position = {
            "step": self.step,
            "best_bpc": self.best_bpc if math.isfinite(self.best_bpc) else None,
            "fetched": self._fetched,
            "history": [list(astuple(record)) for record in self.history],
        }
        return Checkpoint({name: tensor.detach().cpu() for name, tensor in tensors.items()}, position)

    def resume(self, checkpoints: Checkpoints) -> None:
        """Go on from the newest checkpoint where there is one; process 0 reads it for all.

        Raises InputError where it is whole but not of this training.
        """
        if saved := self.group.broadcast(checkpoints.read() if self.group.leads else None):
            try:
                self.restore(Checkpoint.from_bytes(saved))
            except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
                raise InputError(
                    f"{checkpoints}: a checkpoint that does not fit this training ({error}); remove the folder to begin"
                    " anew"
                ) from None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of a training with the same parameters and data; any other raises an exception."""
        position = Position.model_validate(checkpoint.state)
        if layout_of(checkpoint.tensors) not in self._layouts():
            raise ValueError("tensors of another shape or type")
        # Adam counts in float32, up to 2**24
        counted = {float(slot) for name, slot in checkpoint.group("optimizer").items() if name.endswith(".step")}
        if not 0 < position.step <= self.steps or counted != {float(min(position.step, 2**24))}:
            raise ValueError(f"step {position.step} of {self.steps}")
        self.model.load_state_dict(checkpoint.group("model"))
        self.best = checkpoint.group("best")
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in checkpoint.group("optimizer").items():
            index, _, slot = name.partition(".")
            slots.setdefault(int(index), {})[slot] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        states = checkpoint.group("state")
        self.state = join([states[name][:, self._columns].to(self.device) for name in sorted(states)])
        self.step = position.step
        self.best_bpc = math.inf if position.best_bpc is None else position.best_bpc
        self._fetched = position.fetched
        self.history = [Record(*cast("list[Any]", values)) for values in position.history]

    def summary(self) -> dict[str, float]:
        """The numbers of metrics/train.json."""
        return {
            "steps": self.steps,
            "parameters": self.model.size(),
            "final_bpc": self.history[-1].bpc,
            "best_valid_bpc": self.best_bpc,
        }

    def _fetch(self) -> None:
        """Bring the losses from the device; raise RunError where one is not finite, before it reaches a checkpoint."""
        if not self._pending:
            return
        first = self.step - len(self._pending) + 1
        fetched = self.group.mean(torch.stack(self._pending)).tolist()
        for step, (loss, norm) in enumerate(fetched, start=first):
            if not math.isfinite(loss):
                raise RunError(
                    f"the loss is {loss} at step {step} of {self.steps} (learning rate {self.learning_rate():.3g},"
                    f" gradient norm {norm:.3g}); lower train.learning_rate or train.grad_clip. The last good"
                    " checkpoint is kept"
                )
        self._fetched += fetched
        self._pending.clear()

    def _classes(self, epoch: int, step: int) -> Tensor | None:
        """What a conditioned model is told of a batch: classes (length, columns)."""
        if self._labels is None:
            return None
        return self._labels.at(epoch)[self.batches.articles_at(epoch, step)]

    def _state_before(self, symbols: Tensor, classes: Tensor | None) -> State | None:
        """The state carried along the lanes; where a window begins an article, the one in which it is scored and drawn.

        Without it an article's first characters are read from a state that training hardly ever sees.
        """
        goes_on = (symbols[0] != self._eos)[:, None]
        carried = [part * goes_on for part in parts(self.state)]
        if classes is None:
            return join(carried)
        initial = parts(self.model.initial_state(classes[0]))
        return join([part + first * ~goes_on for part, first in zip(carried, initial, strict=True)])

    def _layouts(self) -> list[Layout]:
        """The tensors that a checkpoint of this training may have; in bf16 the state may be of that type."""
        params, weights = self.model.params, layout_of(self.model.state_dict())
        layout = {f"{group}.{name}": form for group in ("model", "best") for name, form in weights.items()}
        for index, form in enumerate(weights.values()):
            layout[f"optimizer.{index}.step"] = torch.Size(), torch.float32
            layout |= {f"optimizer.{index}.{slot}": form for slot in ("exp_avg", "exp_avg_sq")}
        names = ("state.0", "state.1") if params.cell == "LSTM" else ("state.0",)
        shape = torch.Size((params.layers, self.params.batch_size, params.hidden_size))
        types = (torch.float32, torch.bfloat16) if self.params.precision == "bf16" else (torch.float32,)
        return [layout | dict.fromkeys(names, (shape, dtype)) for dtype in types]

    def _step_seed(self) -> int:
        """A seed for what a step draws, so that a resumed one drops the same units."""
        return int(np.random.SeedSequence([self.params.seed, self.step, self.group.rank]).generate_state(1)[0])

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}


def run_training(
    training: Training, checkpoints: Checkpoints, listeners: Sequence[Listener], stopping: Callable[[], bool]
) -> None:
    """Train from where the training stands to its end; the model then holds the best weights.

    Each listener receives each new record. Raises Interrupted, with a checkpoint on disk, when `stopping()` says so,
    and RunError where the loss is not finite.
    """
    params, group = training.params, training.group
    saved_at = time.monotonic()
    while training.step < training.steps:
        training.train_step()
        last = training.step == training.steps
        validate = last or training.step % params.validate_every == 0
        logging = validate or training.step % params.log_every == 0
        if logging:
            record = training.record(validate=validate)
            for listen in listeners:
                listen(record)
        stop = save = False
        if logging or group.size == 1:  # several processes agree at records only: it costs them a message
            overdue = time.monotonic() - saved_at >= params.checkpoint_every
            stop, save = group.any([stopping(), overdue or validate])
        if save or stop:
            checkpoint = training.checkpoint()
            if group.leads:
                checkpoints.save(checkpoint)
            saved_at = time.monotonic()
        if stop and not last:
            raise Interrupted(f"stopped at step {training.step} of {training.steps}; `dvc repro` goes on there")
    training.model.load_state_dict(training.best)
