"""How many CPU cores this process may use: by the container's limit, and by OMP_NUM_THREADS. It needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")  # Linux' control groups, with which containers limit the CPU time
OWN = Path("/proc/self/cgroup")  # the control groups of this process: lines `number:controllers:path`
CONTROLLERS = ("", "cpu", "cpu,cpuacct")  # the folders in GROUPS that can have the limit: version 2, then version 1


def cpu_limit(groups: Path = GROUPS, own: Path = OWN) -> float | None:
    """The CPU cores that the control groups of this process allow, such as 1.5. None if there is no limit.

    A group is in a folder, inside the folder of the group to which it belongs. The smallest limit of them applies.
    """
    paths = {"/", *(line.split(":", 2)[2] for line in _text(own).splitlines() if line.count(":") >= 2)}
    limits: list[float] = []
    for path in paths:
        for controller in CONTROLLERS:
            group = groups / controller / path.strip("/")
            for each in (group, *group.parents):
                limits += _limits(each) if each.is_relative_to(groups / controller) else ()
    return min(limits, default=None)


def _limits(group: Path) -> Iterator[float]:
    """The limits in one group's folder. A quota is microseconds of CPU time in each period. No quota: max or -1."""
    version_1 = [_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    for words in (_text(group / "cpu.max").split(), version_1):
        with suppress(ValueError, ZeroDivisionError):  # not two numbers
            quota, period = map(int, words)
            if quota > 0:
                yield quota / period


def omp_threads() -> int | None:
    """The first number of OMP_NUM_THREADS. None if it is not set.

    torchrun sets the variable to 1 if the user does not, so in a worker of torchrun 1 says nothing.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if not first.isdecimal() or int(first) < 1:
        return None
    return None if first == "1" and "TORCHELASTIC_RUN_ID" in os.environ else int(first)


def auto_threads(cores: int, sharing: int = 1, groups: Path = GROUPS) -> int:
    """The CPU threads of each of `sharing` processes that may use `cores` cores together.

    More threads than the container's limit would wait for each other. OMP_NUM_THREADS is the most for one process.
    """
    limit = cpu_limit(groups)
    allowed = cores if limit is None else min(cores, int(limit))
    each = max(1, allowed // sharing)
    wanted = omp_threads()
    return each if wanted is None else min(each, wanted)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
