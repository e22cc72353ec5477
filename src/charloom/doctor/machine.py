"""Facts about this machine that need no torch: Python, the CPU cores, and NVIDIA's driver."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from charloom.cpus import GROUPS, auto_threads, cpu_limit, omp_threads
from charloom.doctor.facts import Fact, fault, ok, warning
from charloom.params import TrainParams
from charloom.text.workers import usable_cores

OLDEST_PYTHON = (3, 11)  # as requires-python in pyproject.toml
DRIVER = Path("/proc/driver/nvidia/version")  # NVIDIA's driver for Linux states its version here


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Fact:
    """The version of Python, and which program it is."""
    found = f"{'.'.join(map(str, version))} ({sys.executable})"
    if version < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return fault("Python", found, f"charloom needs {oldest} or newer: run `make install PYTHON=python{oldest}`")
    return ok("Python", found)


def check_cores(train: TrainParams, groups: Path = GROUPS) -> Fact:
    """The cores of the machine, how many of them this process may use, and how many threads a training will use."""
    usable, limit, wanted = usable_cores(), cpu_limit(groups), omp_threads()
    limits = [f"{usable} of {os.cpu_count()} usable"]
    limits += [f"the container's limit is {limit:g}"] if limit is not None else []
    limits += [f"OMP_NUM_THREADS is {wanted}"] if wanted is not None else []
    threads = auto_threads(usable, train.processes, groups) if train.threads == "auto" else train.threads
    found = f"{', '.join(limits)}; each of {train.processes} training processes uses {threads} threads"
    found = found.replace("each of 1 training processes", "a training")
    allowed = usable if limit is None else min(usable, limit)
    if isinstance(train.threads, int) and train.threads * train.processes > max(1, allowed):
        return warning("cores", found, "these are more threads than cores: set train.threads to auto")
    return ok("cores", found)


def check_driver(path: Path = DRIVER) -> Iterator[Fact]:
    """The version of NVIDIA's driver, if this machine has the driver."""
    if version := driver_version(path):
        yield ok("driver", f"NVIDIA {version}")
    elif platform.system() == "Linux":
        yield ok("driver", "this machine has no NVIDIA driver")


def driver_version(path: Path = DRIVER) -> str | None:
    """The version of NVIDIA's driver, such as 550.54.15. None if there is no driver.

    The file has a line such as `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 …`. The open
    driver writes `Open Kernel Module for x86_64` instead of `x86_64 Kernel Module`.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)*)\s", text, re.MULTILINE)
    return found[1] if found else None
