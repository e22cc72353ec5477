"""The rate of a bare training loop, in two tables: by hidden size and batch size, and with one change at a time.

The first table decided the default batch size in params.yaml. The second table decided how model/network.py computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from charloom.model.device import precisions
from charloom.text.workers import usable_cores
import torch
from torch import Tensor, nn

from arithmetic import BareLoop, bare_loop, flops_per_character, sgemm_rate
from common import machine, one_layer, rate_of

SYMBOLS, LENGTH, SECONDS = 84, 100, 1.5
SIZES, BATCHES = (64, 256, 512), (8, 16, 32, 64, 128, 512)
CHANGED_SIZES, BATCH = (256, 512), 16  # of the second table: hidden sizes, batch size


def main() -> None:
    torch.set_num_threads(usable_cores())
    peak = sgemm_rate()
    print(f"{machine()}; windows of {LENGTH}, SGEMM {peak / 1e9:,.0f} GFLOPS\n")
    print("| hidden size \\ batch | " + " | ".join(map(str, BATCHES)) + " |\n|" + "---|" * (len(BATCHES) + 1))
    for hidden in SIZES:
        print(f"| {hidden} | " + " | ".join(table_cell(hidden, batch, peak) for batch in BATCHES) + " |", flush=True)
    print(f"\n| batch {BATCH} | " + " | ".join(f"hidden size {hidden}" for hidden in CHANGED_SIZES) + " |")
    print("|" + "---|" * (len(CHANGED_SIZES) + 1))
    for name, (loop, context) in WAYS.items():
        rates = []
        for hidden in CHANGED_SIZES:
            with context():
                rates.append(rate(loop(hidden)))
        print(f"| {name} | " + " | ".join(f"{each:,.0f}/s" for each in rates) + " |", flush=True)


def table_cell(hidden: int, batch: int, peak: float) -> str:
    """Characters per second, and the share of the machine's matrix product rate `peak` that they take."""
    found = rate(bare_loop(one_layer(hidden), SYMBOLS, batch, LENGTH))
    return f"{found:,.0f}/s, {found * flops_per_character(SYMBOLS, one_layer(hidden)) / peak:.2f}"


def rate(loop: BareLoop) -> float:
    loop.step()
    return rate_of(loop.step, SECONDS)


def unchanged(hidden: int) -> BareLoop:
    return bare_loop(one_layer(hidden), SYMBOLS, BATCH, LENGTH)


def compiled(hidden: int) -> BareLoop:
    loop = unchanged(hidden)
    return BareLoop(torch.compile(loop.model), loop.symbols)  # type: ignore[arg-type] # the result is a module


def batch_first(hidden: int) -> BareLoop:
    return BareLoop(BatchFirst(hidden), unchanged(hidden).symbols)


def looked_up(hidden: int) -> BareLoop:
    return BareLoop(LookedUp(hidden), unchanged(hidden).symbols)


class BatchFirst(nn.Module):
    """The tutorial's model, in which tensors are (batch, time, symbols)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(SYMBOLS, hidden, batch_first=True)
        self.head = nn.Linear(hidden, SYMBOLS)

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        """Logits (time, batch, symbols) for ids (time, batch)."""
        output, _ = self.rnn(nn.functional.one_hot(ids.T, SYMBOLS).float())
        return self.head(output).transpose(0, 1), None


class LookedUp(nn.Module):
    """An LSTM written as a loop over time. A lookup in a table replaces the product of weights and one-hot input."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.inputs = nn.Embedding(SYMBOLS, 4 * hidden)
        self.recurrent = nn.Linear(hidden, 4 * hidden)
        self.head = nn.Linear(hidden, SYMBOLS)

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        """Logits (time, batch, symbols) for ids (time, batch)."""
        h = c = torch.zeros(ids.shape[1], self.recurrent.in_features)
        outputs = []
        for given in self.inputs(ids):
            i, f, g, o = (given + self.recurrent(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return self.head(torch.stack(outputs)), None


@contextmanager
def without_onednn() -> Iterator[None]:
    with torch.backends.mkldnn.flags(enabled=False):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# How to make the loop for a hidden size, and the context in which the loop runs.
Way = tuple[Callable[[int], BareLoop], Callable[[], AbstractContextManager[object]]]
WAYS: dict[str, Way] = {
    "unchanged: nn.LSTM, time first, oneDNN": (unchanged, nullcontext),
    "one thread": (unchanged, one_thread),
    "oneDNN off": (unchanged, without_onednn),
    "batch first": (batch_first, nullcontext),
    "a loop, with a table for the one-hot product": (looked_up, nullcontext),
    "torch.compile": (compiled, nullcontext),
}
if "bf16" in precisions(torch.device("cpu")):
    WAYS["bf16 autocast"] = (unchanged, lambda: torch.autocast("cpu", torch.bfloat16))


if __name__ == "__main__":
    main()
