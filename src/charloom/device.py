"""Which device, how many threads, and how to be deterministic there."""

from __future__ import annotations

import os

import torch

from charloom.errors import InputError


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
    """Same seed, same kind of machine, same threads: the same bytes. Raises at an operation that cannot promise it."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False  # it chooses kernels by timing them
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(seed)


def set_threads(wanted: int | str) -> int:
    """Use that many CPU threads, `auto` as many as the process may run on; gives the number."""
    torch.set_num_threads(wanted if isinstance(wanted, int) else usable_cores())
    return torch.get_num_threads()


def usable_cores() -> int:
    """The cores that this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_device(device: torch.device) -> str:
    """The device in words, for logs and tags."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type
