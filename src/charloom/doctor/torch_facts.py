"""Facts about torch, the GPUs and the precisions. The functions import torch, which takes a second or more."""

from __future__ import annotations

from collections.abc import Iterator

from charloom.doctor.facts import Fact, fault, ok, warning
from charloom.params import Params
from charloom.terminal import in_bytes

CROWDED = 0.5  # a GPU of which less than this share is free is being used by another process


def check_torch() -> Fact:
    """The release of torch, and the CUDA for which it was built."""
    import torch

    cuda = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return ok("torch", f"{torch.__version__}, {cuda}")


def check_devices(params: Params) -> Iterator[Fact]:
    """Whether train.device and evaluate.device can be used, and each GPU."""
    from charloom.model.device import available_devices, unusable_gpu

    available = available_devices()
    wanted = {"train.device": params.train.device, "evaluate.device": params.evaluate.device}
    if "cuda" in available:
        yield from check_gpus(params)
    elif reason := unusable_gpu():
        mark = fault if {"auto", "cuda"} & set(wanted.values()) else warning
        yield mark(
            "GPU", f"torch cannot use this machine's GPU: {reason}", "or set train.device and evaluate.device to cpu"
        )
    else:
        yield ok("GPU", "this machine has no NVIDIA GPU that torch can use")
    for name, device in wanted.items():
        if device != "auto" and device not in available:
            found = f"{name} = {device!r}: not on this machine, which has {', '.join(available)}"
            yield fault("params.yaml", found, "choose one of these, or auto")


def check_gpus(params: Params) -> Iterator[Fact]:
    """Each GPU, and whether there are as many as train.processes needs."""
    import torch

    count = torch.cuda.device_count()
    for index in range(count):
        yield check_gpu(index)
    processes = params.train.processes
    if params.train.device in ("auto", "cuda") and processes > count:
        found = f"train.processes = {processes}, but each process needs a GPU, and this machine has {count}"
        yield fault("params.yaml", found, f"set train.processes to {count}")


def check_gpu(index: int) -> Fact:
    """One GPU: a small computation on it, and how much of its memory is free."""
    import torch

    subject = f"GPU {index}"
    try:
        name = torch.cuda.get_device_name(index)
        free, total = torch.cuda.mem_get_info(index)
        ones = torch.ones(16, 16, device=f"cuda:{index}")
        computed = float((ones @ ones).sum())
    except RuntimeError as error:
        remedy = "look at `nvidia-smi`: another process may use all of the GPU, or the driver needs a restart"
        return fault(subject, f"it cannot compute: {str(error).splitlines()[0]}", remedy)
    if computed != 16**3:
        return fault(subject, f"{name}: a product of matrices is wrong ({computed})", "do not use this GPU")
    found = f"{name}, {in_bytes(free)} of {in_bytes(total)} are free"
    if free < CROWDED * total:
        return warning(subject, found, "another process uses the rest: `nvidia-smi` lists the processes")
    return ok(subject, found)


def check_precision(params: Params) -> Fact:
    """The precisions in which the device of the training can compute."""
    import torch

    from charloom.model.device import available_devices, describe_device, precisions

    wanted = params.train.device
    kind = "cuda" if wanted in ("auto", "cuda") and "cuda" in available_devices() else "cpu"
    device = torch.device(kind)
    supported = precisions(device)
    found = f"{describe_device(device)} computes in {', '.join(supported)}"
    if params.train.precision not in supported:
        remedy = f"set train.precision to one of these: params.yaml has {params.train.precision}"
        return fault("precision", found, remedy)
    return ok("precision", found)
