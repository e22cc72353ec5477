"""The load of the machine, measured by MLflow's own monitors.

The thread that sends the numbers of a training also measures the load. MLflow's own sampler is not used, because it
would start another thread and a queue, and both keep warning if the tracker is down.
"""

from __future__ import annotations

from typing import Any


class Machine:
    """Measures CPU, memory, disk and network, and the GPUs that nvidia-ml-py finds."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        self._monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor(), *_gpu_monitors()]
        self.measure()  # a monitor gives the CPU load since its last measurement, so the first one is meaningless

    def measure(self) -> dict[str, float]:
        """The load since the last measurement, under the names that MLflow's pages expect."""
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return found


def _gpu_monitors() -> list[Any]:
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    try:
        return [GPUMonitor()]
    except (ImportError, RuntimeError):  # nvidia-ml-py is not installed, or the machine has no GPU
        return []
