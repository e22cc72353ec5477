"""Training steps as a CUDA graph.

On a GPU, a step consists of several hundred kernels. Each takes a few microseconds to start, longer than many of them
run. So the kernels of one step are recorded, and each later step starts all of them at once. They are the same kernels
in the same order, so the results have the same bytes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch
from torch import Tensor

from charloom.errors import warn

WARM_UP = 3  # steps before the recording, in which torch and cuDNN allocate what they keep

Compute = Callable[..., tuple[Tensor, ...]]


class Recorded:
    """A function on tensors of a GPU that is recorded in its fourth call and replayed from then on.

    All calls must have tensors of the same shapes and types, and None for the same arguments. What else the function
    reads or changes must stay in the same memory.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor | None, ...] = ()  # the memory that the recorded kernels read
        self._results: tuple[Tensor, ...] = ()  # the memory that they write

    def __call__(self, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        """The results for these inputs."""
        if self._graph is None:
            self._calls += 1
            if self._calls <= WARM_UP:
                return self._on_another_stream(inputs)
            if self._calls == WARM_UP + 1:
                self._graph = self._record(inputs)
            if self._graph is None:
                return self._compute(*inputs)
        for recorded, tensor in zip(self._inputs, inputs, strict=True):
            if recorded is not None and tensor is not None:
                recorded.copy_(tensor)
        self._graph.replay()
        return tuple(result.clone() for result in self._results)  # the next call overwrites them

    def _on_another_stream(self, inputs: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
        """Call the function on a stream of its own, because torch records on such a stream."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            results = self._compute(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return results

    def _record(self, inputs: tuple[Tensor | None, ...]) -> torch.cuda.CUDAGraph | None:
        """The graph of a call. If torch cannot record the function, this prints a warning and returns None."""
        self._inputs = tuple(None if tensor is None else tensor.clone() for tensor in inputs)
        # Freeing the graph of an earlier training would end a recording, so garbage is collected before it.
        gc.collect()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: in other threads, calls that would end a recording are allowed. Another thread of charloom
            # puts the next batches into pinned memory.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._results = self._compute(*self._inputs)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            warn(f"the steps are slower, because torch cannot record them: {error}")
            return None
        return graph
