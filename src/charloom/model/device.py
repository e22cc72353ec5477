"""Choosing the device, the number of threads and the precision, and making torch deterministic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from charloom.errors import InputError, RunError


def choose_device(wanted: str, key: str) -> torch.device:
    """The device with the name `wanted`. `auto` means the first available device of cuda, mps and cpu.

    `key` is the parameter or option that has this value. Raises InputError if the machine does not have the device. The
    message contains `key` and the available devices.
    """
    available = available_devices()
    if wanted == "auto":
        return torch.device(available[0])
    if wanted not in available:
        raise InputError(
            f"{key} = {wanted!r}: not on this machine, which has {', '.join(available)}; choose one of these, or auto"
        )
    return torch.device(wanted)


def available_devices() -> list[str]:
    """The types of the devices that this machine has, the preferred type first."""
    checks = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, available in checks.items() if available]


def make_deterministic(seed: int) -> None:
    """Make torch deterministic: the same seed, kind of machine and number of threads give the same bytes.

    From then on, a torch operation that has no deterministic algorithm raises RuntimeError.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    # torch.use_deterministic_algorithms does the same, but also imports torch's compiler, which takes two seconds.
    torch.set_deterministic_debug_mode("error")
    # By default, deterministic torch fills each new tensor, for operations that read memory which nothing has written.
    # Nothing in charloom does that, and the filling took 7 to 9 % of a training step on two cores.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False  # if True, cuDNN times its kernels and chooses the fastest
    torch.manual_seed(seed)


def set_threads(wanted: int | str, sharing: int = 1) -> None:
    """Use `wanted` CPU threads. `auto` means a thread for each core, divided among `sharing` processes."""
    torch.set_num_threads(wanted if isinstance(wanted, int) else max(1, usable_cores() // sharing))


def set_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Switch TF32 on or off. Returns the context manager for forward passes: bf16 autocast, or one without effect.

    Raises InputError if the device cannot compute in `precision`.
    """
    supported = precisions(device)
    if precision not in supported:
        raise InputError(
            f"train.precision = {precision!r}: this machine's {describe_device(device)} supports only"
            f" {', '.join(supported)}"
        )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def precisions(device: torch.device) -> list[str]:
    """The values of `train.precision` that a device supports.

    On a CPU, bf16 needs the instruction set AVX512-BF16. On other CPUs, torch's recurrent cells compute only in fp32.
    """
    modern_gpu = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    onednn = device.type == "cpu" and torch.backends.mkldnn.is_available()
    bf16 = modern_gpu or (onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return [name for name, supported in {"fp32": True, "tf32": modern_gpu, "bf16": bf16}.items() if supported]


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Turn a failed allocation into a RunError that says which parameters to lower."""
    try:
        yield
    except RuntimeError as error:  # on a CPU there is no special type, so the message is searched
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise RunError(
            "out of memory; lower train.batch_size or windows.length (activations), or model.hidden_size (weights)"
        ) from None


def usable_cores() -> int:
    """The number of CPU cores that this process may use. The machine can have more cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_device(device: torch.device) -> str:
    """The name of the device, for logs and tags."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type
