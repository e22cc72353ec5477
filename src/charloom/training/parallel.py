"""Training in several processes. torchrun starts them, and DistributedDataParallel averages their gradients.

train.batch_size is the size of the whole batch. Each process reads a share of the columns of the batch, so the batches
are the same for any number of processes. Only process 0 writes files.
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

# Each function of torch.distributed.nn.functional has a default argument: the process group that exists when the module
# is imported. Without this line, DistributedDataParallel would import the module later, when our group exists. The
# default argument would then keep the group and its threads alive until the interpreter ends, and a thread that still
# has a tensor can abort a process whose training is over. If the module is imported here, before a group exists, the
# default argument is None.
import torch.distributed.nn.functional
from torch import Tensor, distributed, nn
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.nn.parallel import DistributedDataParallel

from charloom.errors import InputError, RunError
from charloom.stage import under_torchrun

# Freeing a tensor needs the GIL. If a gloo thread frees the last reference while torch waits for that thread and holds
# the GIL, the process deadlocks (seen with torch 2.3, after finished trainings). Keeping the tensors of the last eight
# messages alive makes Python the one that frees them.
_sent: deque[tuple[Tensor, ...]] = deque(maxlen=8)


@dataclass(frozen=True)
class Group:
    """The processes of a training, seen from one of them. In a group of one process, no method sends a message."""

    rank: int = 0  # the number of this process, from 0
    size: int = 1  # the number of processes
    local_size: int = 1  # the number of processes on this machine
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    _wrapped: list[DistributedDataParallel] = field(default_factory=list, init=False, repr=False)

    @property
    def leads(self) -> bool:
        """Whether this is process 0, the only one that writes files."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """The columns of the whole batch that this process reads."""
        if batch_size % self.size:
            raise InputError(
                f"train.batch_size = {batch_size}: must be a multiple of {self.size}, the number of processes"
            )
        columns = batch_size // self.size
        return slice(self.rank * columns, (self.rank + 1) * columns)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model that training steps must call. Its backward pass averages the gradients over the group."""
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

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the group, on the CPU."""
        if self.size == 1:
            return values
        on_device = values.to(self.device)
        _sent.append((on_device,))
        distributed.all_reduce(on_device)
        return on_device.cpu()

    def gather(self, tensor: Tensor, dim: int) -> Tensor:
        """The shares of all processes, joined along `dim`. Every process gets the whole tensor."""
        if self.size == 1:
            return tensor
        share = tensor.contiguous()
        shares = [torch.empty_like(share) for _ in range(self.size)]
        _sent.append((share, *shares))
        distributed.all_gather(shares, share)
        return torch.cat(shares, dim)

    def broadcast(self, data: bytes | None) -> bytes | None:
        """Send bytes, or None, from process 0 to all processes. Bytes are sent as a tensor, so nothing is pickled."""
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
        """For each flag, whether it is true in any process."""
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.int32, device=self.device)
        _sent.append((raised,))
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def _end(self) -> None:
        # destroy_process_group must have the last reference to the group, so the references in the wrapped models are
        # deleted first. Reason: a wrapped model can outlive this method, in a local variable or a traceback. Then the
        # destructor of the model's reducer would end the group and wait for gloo's threads while it holds the GIL. A
        # thread that is freeing a tensor would wait for the GIL: a deadlock. destroy_process_group releases the GIL.
        for model in self._wrapped:
            del model.reducer, model.logger, model.process_group
        distributed.destroy_process_group()


def will_lead() -> bool:
    """Whether this process is the only one, or will be process 0 of the group that it joins."""
    return int(os.environ.get("RANK", "0")) == 0 or not under_torchrun()


@contextmanager
def join_group(device: torch.device) -> Iterator[Group]:
    """Join the group of the processes that torchrun started. A process that torchrun did not start is a group of one.

    On CUDA, each process of a machine uses a different GPU. Raises RunError if the contact to another process is lost.
    """
    if not under_torchrun():
        yield Group(device=device)
        return
    rank, size, local_rank, local_size = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    if device.type == "cuda":
        check_gpus(local_size)
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    group = Group(rank, size, local_size, device)
    try:
        yield group
    except RuntimeError as error:
        if "gloo" not in str(error) and not isinstance(error, distributed.DistError):
            raise
        raise RunError(f"training process {rank} of {size} lost contact with another process") from None
    finally:
        group._end()


def check_gpus(processes: int) -> None:
    """Raise InputError if this machine has fewer GPUs than `processes`."""
    if (gpus := torch.cuda.device_count()) < processes:
        raise InputError(
            f"train.processes = {processes}: each process needs a GPU of its own, and this machine has {gpus}; set"
            f" train.processes to {gpus}, or train.device to cpu"
        )


def launch(script: str, processes: int) -> None:
    """Run a stage script in several processes on this machine, as torchrun does, and wait for the processes to end.

    SIGINT and SIGTERM are passed on to the processes, which then save a checkpoint and stop. Raises RunError if a
    process failed.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="charloom",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # otherwise torchrun leaves a folder of empty logs in /tmp
        # Seconds between checks whether a process has failed. With the 30 s of torch 2.3, all other processes would
        # fail too before torchrun notices the first failure.
        monitor_interval=0.1,
    )
    # The number of threads until set_threads is called. Without it, torchrun would set the same number with a warning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.disable(logging.ERROR)  # torchrun would log several screens; the errors below name the failure
    try:
        elastic_launch(config, sys.executable)(script)
    except SignalException:
        raise RunError("stopped; the next `dvc repro` continues from the last checkpoint") from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        how = signal.Signals(-failure.exitcode).name if failure.exitcode < 0 else f"exit code {failure.exitcode}"
        raise RunError(
            f"training process {rank} of {processes} ended with {how}; the next `dvc repro` continues from the last"
            " checkpoint"
        ) from None
