"""Training in several processes: torchrun starts them, DistributedDataParallel averages their gradients.

The batch in params.yaml is the global one: each process reads its share of the columns, so that any number of them
learns from the same batches. Process 0 alone writes.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

# DistributedDataParallel imports this module when it is first made, and the default arguments of its functions are the
# group of that moment. The group then never ended, its threads met the interpreter's end, and one that still held a
# tensor now and then aborted a process whose training was over. Imported before there is a group, it keeps none.
import torch.distributed.nn.functional
from torch import Tensor, distributed, nn
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.nn.parallel import DistributedDataParallel

from charloom.errors import InputError, RunError
from charloom.stage import under_torchrun

# gloo's threads let go of a message's tensors a moment after it has arrived. Who is the last to let go of one needs
# Python's lock, which torch holds while it waits for those threads at the end: with torch 2.3, trainings that were over
# hung there now and then. So the last messages' tensors stay here, and Python is the last.
_sent: deque[tuple[Tensor, ...]] = deque(maxlen=8)


@dataclass(frozen=True)
class Group:
    """The processes of a training, and which of them this one is; alone, every method is free."""

    rank: int = 0
    size: int = 1
    local_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _wrapped: list[DistributedDataParallel] = field(default_factory=list, init=False, repr=False)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """This process' columns of a global batch."""
        if batch_size % self.size:
            raise InputError(f"train.batch_size = {batch_size}: must be a multiple of the {self.size} processes")
        columns = batch_size // self.size
        return slice(self.rank * columns, (self.rank + 1) * columns)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model for training steps: its backward pass averages the gradients over the group."""
        if self.size == 1:
            return model
        wrapped = DistributedDataParallel(model)
        self._wrapped.append(wrapped)
        return wrapped

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over the group."""
        if self.size > 1:
            _sent.append((values,))
            distributed.all_reduce(values)
            values /= self.size
        return values

    def gather(self, tensor: Tensor, dim: int) -> Tensor:
        """The processes' shares of a tensor, joined along `dim` in every process."""
        if self.size == 1:
            return tensor
        share = tensor.contiguous()
        parts = [torch.empty_like(share) for _ in range(self.size)]
        _sent.append((share, *parts))
        distributed.all_gather(parts, share)
        return torch.cat(parts, dim)

    def broadcast(self, data: bytes | None) -> bytes | None:
        """Process 0's bytes in every process: nothing is pickled on the way."""
        if self.size == 1:
            return data
        size = torch.tensor([-1 if data is None else len(data)], device=self.device)
        _sent.append((size,))
        distributed.broadcast(size, 0)
        if size.item() < 0:
            return None
        content = torch.empty(int(size.item()), dtype=torch.uint8, device=self.device)
        if data is not None:
            content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        _sent.append((content,))
        distributed.broadcast(content, 0)
        return content.cpu().numpy().tobytes()

    def any(self, flags: list[bool]) -> list[bool]:
        """Each flag raised where any process raised it."""
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.int32, device=self.device)
        _sent.append((raised,))
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def _end(self) -> None:
        # A model that outlives its group (a local variable, a traceback) would end it, in the destructor of its
        # reducer: there torch waits for gloo's threads with Python's lock held, and one that is just letting go of a
        # tensor waits for that lock. destroy_process_group lets go of the lock, where it is the last to hold the group.
        for model in self._wrapped:
            del model.reducer, model.logger, model.process_group
        distributed.destroy_process_group()


@contextmanager
def join_group(device: torch.device) -> Iterator[Group]:
    """Join the processes that torchrun started, each on a GPU of its own; others are a group of one."""
    if not under_torchrun():
        yield Group(device=device)
        return
    rank, size, local_rank, local_size = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    if device.type == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    group = Group(rank, size, local_size, device)
    try:
        yield group
    except RuntimeError as error:
        if "gloo" not in str(error) and not isinstance(error, distributed.DistError):
            raise
        raise RunError(f"process {rank} lost contact with another one of the {size}") from None
    finally:
        group._end()


def launch(script: str, processes: int) -> None:
    """Run a stage script in several processes on this machine, as torchrun does, and wait for them.

    SIGINT and SIGTERM are passed on, so that they save and stop. Raises RunError where one of them failed.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="charloom",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # torchrun would leave a folder of empty ones in /tmp
        monitor_interval=0.1,  # seconds; torch 2.3 looks every 30, and by then all have failed
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # until set_threads: torchrun would set it too, with a warning
    logging.disable(logging.ERROR)  # torchrun's own, over several screens; what failed is said below
    try:
        elastic_launch(config, sys.executable)(script)
    except SignalException:
        raise RunError("stopped; the next `dvc repro` goes on at the last checkpoint") from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        how = signal.Signals(-failure.exitcode).name if failure.exitcode < 0 else f"exit code {failure.exitcode}"
        raise RunError(
            f"training process {rank} of {processes} ended with {how}; the next `dvc repro` goes on at the last"
            " checkpoint"
        ) from None
