"""Which device, how many threads, and how to be deterministic there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from charloom.errors import InputError, RunError


def choose_device(wanted: str, key: str) -> torch.device:
    """The device that params.yaml asks for under `key`; `auto` prefers cuda, then mps, then cpu.

    Raises InputError, naming the devices that are there, where the wanted one is not.
    """
    present = available_devices()
    if wanted == "auto":
        return torch.device(present[0])
    if wanted not in present:
        raise InputError(f"{key} = {wanted!r}: not on this machine, which has {', '.join(present)} (or say auto)")
    return torch.device(wanted)


def available_devices() -> list[str]:
    """The kinds of device here, the one to prefer first."""
    checks = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, there in checks.items() if there]


def make_deterministic(seed: int) -> None:
    """Same seed, same kind of machine: the same bytes. Makes operations raise that cannot promise it."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms loads torch's compiler too: two seconds
    torch.backends.cudnn.benchmark = False  # it chooses kernels by timing them
    torch.manual_seed(seed)


def set_threads(wanted: int | str, sharing: int = 1) -> None:
    """Use that many CPU threads; `auto` is one a core, the cores divided among `sharing` processes."""
    torch.set_num_threads(wanted if isinstance(wanted, int) else max(1, usable_cores() // sharing))


def set_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Switch TF32 on or off, and give the context for forward passes: bf16 autocast, or nothing.

    Raises InputError where the device cannot compute in `precision`.
    """
    there = precisions(device)
    if precision not in there:
        raise InputError(
            f"train.precision = {precision!r}: {describe_device(device)} of this machine has only {', '.join(there)}"
        )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def precisions(device: torch.device) -> list[str]:
    """What `train.precision` may be there; torch's LSTM on a CPU without AVX512's bf16 knows no other than fp32."""
    modern = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    onednn = device.type == "cpu" and torch.backends.mkldnn.is_available()
    bf16 = modern or (onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return [name for name, can in {"fp32": True, "tf32": modern, "bf16": bf16}.items() if can]


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Turn a failed allocation into a RunError that says what to lower."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError on a GPU; on a CPU there is only the message
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise RunError(
            "out of memory; lower train.batch_size or windows.length (activations), or model.hidden_size (weights)"
        ) from None


def usable_cores() -> int:
    """The cores that this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_device(device: torch.device) -> str:
    """The device in words, for logs and tags."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type
