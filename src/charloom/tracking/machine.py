"""How busy the machine is: MLflow's own monitors, sampled by the thread that streams.

MLflow's sampler would start a thread and a queue of its own, which warn again and again where the tracker is down.
"""

from __future__ import annotations

from typing import Any


class Machine:
    """CPU, memory, disk, network and, where nvidia-ml-py finds any, GPUs."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        self._monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor(), *_gpus()]
        self.sample()  # the first share of a CPU's time is of no interval

    def sample(self) -> dict[str, float]:
        """The numbers since the last sample, named as MLflow's pages expect them."""
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return found


def _gpus() -> list[Any]:
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    try:
        return [GPUMonitor()]
    except (ImportError, RuntimeError):  # no nvidia-ml-py, no GPU
        return []
