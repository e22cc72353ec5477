"""The training loop: batch, forward, backward, update. Every few steps: a record, a validation, a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from charloom.cells import CELLS
from charloom.errors import RunError
from charloom.model.device import Precision
from charloom.model.layers import LARGE
from charloom.model.matching import HISTORY
from charloom.model.memory import Remembered
from charloom.model.network import CharModel
from charloom.model.states import State, make_state, state_tensors
from charloom.params import TrainParams
from charloom.text.split import EncodedSplit
from charloom.training.batches import BATCHING, ClassIds
from charloom.training.checkpoint import Checkpoints, Interrupted
from charloom.training.graph import Recorded
from charloom.training.history import MAX_RECORDS, MAX_VALIDATIONS, Listener, Record, interval
from charloom.training.optimizer import adam, count_steps, learning_rate_at, set_learning_rate
from charloom.training.parallel import Group
from charloom.training.recall import Recall
from charloom.training.sampler import TrainingSample
from charloom.training.state import snapshot
from charloom.training.validation import Validation


class Training:
    """A training: the model, the optimizer, the data, and the present step.

    Everything that a step changes is in this object. state.py saves it as a checkpoint and restores it.
    """

    def __init__(
        self, model: CharModel, train: EncodedSplit, valid: EncodedSplit, params: TrainParams, group: Group
    ) -> None:
        """`group` is the group of processes that share the training.

        Raises InputError if the training split is too small for a batch.
        """
        self.group = group
        self.device = device = group.device
        self.model = model.to(device)
        self.params = params
        self.columns = group.share(params.batch_size)  # the columns of each batch that this process reads
        history = HISTORY if model.params.memory else 0  # what the memory looks back on
        self.batches = BATCHING[params.batching](train, params.batch_size, params.seed, device, self.columns, history)
        self.class_counts = train.class_counts if model.conditioned else []
        dropout = model.params.class_dropout
        self._class_ids = ClassIds(train, model.no_class, dropout, params.seed, device) if model.conditioned else None
        self._recall = Recall(model, train, self.batches, self._class_ids, params.seed) if model.params.memory else None
        self.steps = count_steps(params, self.batches.steps_per_epoch, params.batch_size * self.batches.length)
        self.log_every = interval(params.log_every, self.steps, MAX_RECORDS)
        self.validate_every = interval(params.validate_every, self.steps, MAX_VALIDATIONS)
        self.validation = Validation(self.model, valid, params.valid_characters, params.seed, group)
        self.optimizer = adam(self.model, params.learning_rate)
        self._parameters = list(self.model.parameters())
        self.step = 0
        self.state: State | None = None  # the hidden state after the last step, for this process's columns
        self.history: list[Record] = []
        self.samples: list[TrainingSample] = []  # what the model has written so far; a Sampler adds to it
        self.best_bpc = math.inf  # on the sample of the validation split
        self.valid_bpc = math.inf  # of the finished training, on the whole validation split
        self.best = self._weights()  # the weights with the lowest validation loss so far
        self._eos = int(train.codes[0])
        self._random = torch.Generator(device)  # of the dropout masks
        self._precision = Precision(params.precision, device)
        self._averaging_model = self.group.wrap(self.model)
        # Neither messages between processes nor tensors of varying shapes (of a large vocabulary) can be recorded.
        recordable = device.type == "cuda" and group.size == 1 and model.symbols <= LARGE
        self._learn = Recorded(self._compute_step) if recordable else self._compute_step
        self._losses_on_device: list[Tensor] = []  # loss and gradient norm of each step, not fetched yet
        self.losses_since_record: list[list[float]] = []  # the same, fetched but not recorded yet
        self._bpc_per_nat = (train.characters + train.articles) / train.characters / math.log(2)
        # The loss does not contain which character an `<unk>` replaces.
        self._unknown_bpc = train.unknown_bpc(model.symbols)

    def train_step(self) -> None:
        """Read one batch and learn from it. Without a memory, no line here waits for a result of the GPU."""
        epoch, step = divmod(self.step, self.batches.steps_per_epoch)
        symbols = self.batches.at(epoch, step)
        classes = self._classes(epoch, step)
        remembered = None if self._recall is None else self._recall.at(epoch, step)
        continues = self._continues(symbols, carries=step > 0 and self.batches.carries_state)
        masks = self._draw_dropout() if self.model.params.dropout else None
        set_learning_rate(self.optimizer, self.learning_rate())
        losses, *state = self._learn(symbols, continues, classes, masks, *(remembered or (None, None)), *self._state())
        self.state = make_state(state)
        self._losses_on_device.append(losses)
        self.step += 1

    def _compute_step(
        self,
        symbols: Tensor,
        continues: Tensor,
        classes: Tensor | None,
        masks: Tensor | None,
        probabilities: Tensor | None,
        class_ratios: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        """Forward, backward, update. Returns the loss with the norm of the gradient (2), and the state after the step.

        `probabilities` and `class_ratios` are the fields of Remembered. `state` is the one after the step before.
        """
        remembered = None if probabilities is None else Remembered(probabilities, class_ratios)
        before = self._state_before(state, continues, classes)
        self.model.next_masks = masks
        with self._precision.step():
            # forward
            with self._precision.forward():
                logits, after = self._averaging_model(symbols[:-1], before, classes, remembered)
                loss = F.cross_entropy(logits.flatten(0, 1), symbols[1:].flatten())
            # backward, clip, update
            self.optimizer.zero_grad()
            loss.backward()
            norm = clip_grad_norm_(self._parameters, self.params.grad_clip)
            self.optimizer.step()
        # Back-propagation is truncated here: the next step gets the state, but not the graph behind it.
        return torch.stack((loss.detach(), norm)), *(tensor.detach() for tensor in state_tensors(after))

    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return learning_rate_at(self.step, self.steps, self.params)

    def record(self, *, validate: bool) -> Record:
        """Summarise the steps since the last record and append the record to the history.

        With `validate`, a sample of the validation split is scored, and the weights are kept if they are the best so
        far.
        """
        self.fetch_losses()
        losses, norms = zip(*self.losses_since_record, strict=True)
        self.losses_since_record.clear()
        loss = math.fsum(losses) / len(losses)
        cost = self.validation.sample() if validate else None
        if cost and cost.bits_per_character < self.best_bpc:
            self.best_bpc, self.best = cost.bits_per_character, self._weights()
        record = Record(
            step=self.step,
            epoch=self.step / self.batches.steps_per_epoch,
            characters=self.step * self.batches.batch_size * self.batches.length,
            learning_rate=self.learning_rate(),
            grad_norm=max(norms),
            loss_nats=loss,
            bpc=loss * self._bpc_per_nat + self._unknown_bpc,
            valid_loss_nats=cost.nats_per_symbol if cost else None,
            valid_bpc=cost.bits_per_character if cost else None,
        )
        self.history.append(record)
        return record

    def fetch_losses(self) -> None:
        """Fetch the losses of the latest steps from the device. Each loss is the mean over the processes of the group.

        Raises RunError if a loss is not finite. `snapshot` calls this method first, so it never saves such a training.
        """
        if not self._losses_on_device:
            return
        first = self.step - len(self._losses_on_device) + 1
        fetched = self.group.mean(torch.stack(self._losses_on_device)).tolist()
        for step, (loss, norm) in enumerate(fetched, start=first):
            if not math.isfinite(loss):
                raise RunError(
                    f"the loss is {loss} at step {step} of {self.steps} (learning rate {self.learning_rate():.3g},"
                    f" gradient norm {norm:.3g}); lower train.learning_rate or train.grad_clip. The last good"
                    " checkpoint is kept"
                )
        self.losses_since_record += fetched
        self._losses_on_device.clear()

    def metrics(self) -> dict[str, float]:
        """The numbers by which finished trainings are compared, for metrics/train.json."""
        return {"valid_bpc": self.valid_bpc, "train_bpc": self.history[-1].bpc}

    def details(self) -> dict[str, float]:
        """All numbers of a finished training, for details/train.json."""
        return {
            "steps": self.steps,
            "parameters": self.model.size(),
            "characters": self.history[-1].characters,  # symbols read, `<eos>` included
            "final_bpc": self.history[-1].bpc,
            "best_valid_bpc": self.best_bpc,
        }

    def finish(self) -> None:
        """Give the model the weights of the best validation, and score the whole validation split with them."""
        self.model.load_state_dict(self.best)
        self.valid_bpc = self.best_bpc if self.validation.is_whole else self.validation.whole().bits_per_character

    def _classes(self, epoch: int, step: int) -> Tensor | None:
        """The class ids (length, columns) of a batch for a conditioned model, otherwise None."""
        if self._class_ids is None:
            return None
        return self._class_ids.at(epoch)[self.batches.articles_at(epoch, step)]

    def _state(self) -> list[Tensor]:
        """The tensors of the state after the last step. Before the first step they are zeros."""
        if self.state is not None:
            return state_tensors(self.state)
        model = self.model.params
        zeros = torch.zeros(model.layers, self.batches.columns, model.hidden_size, device=self.device)
        return [zeros] * len(CELLS[model.cell].state)

    def _continues(self, symbols: Tensor, *, carries: bool) -> Tensor:
        """Whether each column (columns, 1) begins with the state after the last step. `carries`: any column can.

        A column whose window starts an article begins with the initial state, as in scoring and sampling. Otherwise the
        model would hardly ever see this initial state in training, and would predict the first characters of articles
        badly. If an article starts inside a window, its column keeps the state: the model reads across the `<eos>`
        before the article.
        """
        continues = (symbols[0] != self._eos)[:, None]
        return continues if carries else torch.zeros_like(continues)

    def _state_before(self, state: Sequence[Tensor], continues: Tensor, classes: Tensor | None) -> State | None:
        """The state with which the columns of a step begin. `state` is the one after the step before."""
        carried = [tensor * continues for tensor in state]
        if classes is None:
            return make_state(carried)
        initial = state_tensors(self.model.initial_state(classes[0]))
        return make_state([old + first * ~continues for old, first in zip(carried, initial, strict=True)])

    def _draw_dropout(self) -> Tensor:
        """Draw the masks of the units that this step drops. A resumed training draws the same masks.

        They are drawn for the whole batch, so they do not depend on the number of processes.
        """
        seed = np.random.SeedSequence([self.params.seed, self.step]).generate_state(1)[0]
        self._random.manual_seed(int(seed))
        return self.model.dropout_masks(self.params.batch_size, self._random)[:, :, self.columns]

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}


def run_training(
    training: Training, checkpoints: Checkpoints, listeners: Sequence[Listener], stopping: Callable[[], bool]
) -> None:
    """Train from the present step to the last step, then call `training.finish`.

    Each listener receives each new record. If `stopping()` returns true, a checkpoint is written and Interrupted is
    raised. Raises RunError if the loss is not finite.
    """
    try:
        _take_steps(training, checkpoints, listeners, stopping)
    finally:
        checkpoints.finish_saving()
    training.finish()


def _take_steps(
    training: Training, checkpoints: Checkpoints, listeners: Sequence[Listener], stopping: Callable[[], bool]
) -> None:
    params, group = training.params, training.group
    saved_at = time.monotonic()
    while training.step < training.steps:
        training.train_step()
        # every few steps: a record, with or without a validation
        last = training.step == training.steps
        validate = last or training.step % training.validate_every == 0
        logging = validate or training.step % training.log_every == 0
        if logging:
            record = training.record(validate=validate)
            for listen in listeners:
                listen(record)
        # Stop or save? Several processes must decide the same, which takes a message, so they decide after a record.
        stop = save = False
        if logging or group.size == 1:
            overdue = time.monotonic() - saved_at >= params.checkpoint_every
            stop, save = group.any([stopping(), overdue or validate])
        if save or stop:
            checkpoint = snapshot(training)
            if group.leads:
                checkpoints.save(checkpoint)
            saved_at = time.monotonic()
        if stop and not last:
            raise Interrupted(f"stopped at step {training.step} of {training.steps}; `dvc repro` continues there")
