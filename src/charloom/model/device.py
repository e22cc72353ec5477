"""Choosing the device, the number of threads and the precision, and making torch deterministic."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch

from charloom.cpus import GROUPS, auto_threads
from charloom.errors import InputError, RunError, is_out_of_memory, warn
from charloom.text.workers import usable_cores

GPUS = Path("/proc/driver/nvidia/gpus")  # NVIDIA's driver for Linux lists its GPUs here


def choose_device(wanted: str, key: str) -> torch.device:
    """The device with the name `wanted`. `auto` means an NVIDIA GPU if torch can use one, otherwise the CPU.

    `key` is the parameter or option that has this value. Raises InputError if the machine does not have the device. The
    message contains `key`, the available devices and, if torch cannot use the GPU, the reason.
    """
    available = available_devices()
    unusable = "" if "cuda" in available else unusable_gpu()
    if wanted == "auto":
        if unusable:
            warn(f"{key} = 'auto': computing on the CPU, because torch cannot use the GPU: {unusable}")
        return torch.device("cuda" if "cuda" in available else "cpu")
    if wanted == "cuda" and unusable:
        raise InputError(f"{key} = 'cuda': torch cannot use this machine's GPU: {unusable}")
    if wanted not in available:
        raise InputError(
            f"{key} = {wanted!r}: not on this machine, which has {', '.join(available)}; choose one of these, or auto"
        )
    if wanted == "mps":
        warn(f"{key} = 'mps': a long training can fill the memory (pytorch issue 145374)")
    return torch.device(wanted)


def available_devices() -> list[str]:
    """The types of the devices that torch can use on this machine."""
    cuda = torch.cuda.is_available() and has_kernels(torch.cuda.get_arch_list(), torch.cuda.get_device_capability())
    checks = {"cuda": cuda, "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, available in checks.items() if available]


def unusable_gpu(gpus: Path = GPUS) -> str:
    """Why torch cannot use the NVIDIA GPU of this machine, and what to do. Empty if there is no NVIDIA GPU.

    `gpus` is the folder in which the driver lists its GPUs.
    """
    if not gpus.is_dir() or not any(gpus.iterdir()):
        return ""
    release = f"torch {torch.__version__}"
    if torch.version.cuda is None:
        return f"{release} is a build without CUDA; install one with CUDA"
    if torch.cuda.is_available():
        return f"{release} has no code for a GPU of this age; install another release of torch"
    return f"{release} needs a driver for CUDA {torch.version.cuda} or newer; update NVIDIA's driver"


def has_kernels(architectures: Iterable[str], capability: tuple[int, int]) -> bool:
    """Whether a build of torch with code for these architectures can use a GPU of this compute capability.

    `sm_86` is machine code for the capability 8.6. It runs on GPUs with the same first number and the same second
    number or a higher one. `compute_90` is code that the driver translates for all later GPUs.
    """
    for kind, digits in (architecture.split("_") for architecture in architectures):
        number = re.sub(r"\D", "", digits)
        built = int(number[:-1]), int(number[-1])
        if built <= capability and (kind == "compute" or built[0] == capability[0]):
            return True
    return False


def compute_in_fp32() -> None:
    """Make GPUs compute products of float32 numbers in fp32. By default, torch's recurrent layers use TF32 there."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


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


def set_threads(wanted: int | str, sharing: int = 1, groups: Path = GROUPS) -> None:
    """Use `wanted` CPU threads. `auto` means a thread for each usable core, divided among `sharing` processes.

    With `auto`, there are at most as many threads as OMP_NUM_THREADS states, and as the container's limit allows, which
    is in the folder `groups`.
    """
    torch.set_num_threads(wanted if isinstance(wanted, int) else auto_threads(usable_cores(), sharing, groups))


class Precision:
    """The precision of the steps of a training (`train.precision`). Everything else computes in fp32."""

    def __init__(self, name: str, device: torch.device) -> None:
        """Raises InputError if the device cannot compute in this precision."""
        supported = precisions(device)
        if name not in supported:
            raise InputError(
                f"train.precision = {name!r}: this machine's {describe_device(device)} supports only"
                f" {', '.join(supported)}"
            )
        self._name = name
        self._device = device

    @contextmanager
    def step(self) -> Iterator[None]:
        """For a whole step: with tf32, a GPU computes products of float32 numbers in TF32."""
        tf32 = self._name == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        try:
            yield
        finally:
            compute_in_fp32()

    def forward(self) -> AbstractContextManager[object]:
        """For the forward pass of a step: with bf16, torch's autocast."""
        return torch.autocast(self._device.type, torch.bfloat16) if self._name == "bf16" else nullcontext()


def precisions(device: torch.device) -> list[str]:
    """The values of `train.precision` that a device supports.

    On a CPU, bf16 needs the instruction set AVX512-BF16. On other CPUs, torch's recurrent cells compute only in fp32.
    """
    modern_gpu = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    onednn = device.type == "cpu" and torch.backends.mkldnn.is_available()
    bf16 = modern_gpu or (onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return [name for name, supported in {"fp32": True, "tf32": modern_gpu, "bf16": bf16}.items() if supported]


@contextmanager
def explain_out_of_memory(remedy: str) -> Iterator[None]:
    """Turn a failed allocation into a RunError that says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(f"out of memory; {remedy}") from None


def describe_device(device: torch.device) -> str:
    """The name of the device, for logs and tags."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type
