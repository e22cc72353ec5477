"""Pictures of a run, and its samples as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from charloom.files import atomic_path, write_text
from charloom.history import Record
from charloom.terminal import harmless


def draw_history(path: Path, history: Sequence[Record], test_bpc: float) -> None:
    """A PNG of training and validation bits per character over the symbols read, and the test's as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcdefaults()  # not what a matplotlibrc of this machine says

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    millions = [record.characters / 1e6 for record in history]
    axes.plot(millions, [record.bpc for record in history], color="#9bb4d0", linewidth=1, label="train")
    validated = [(record.characters / 1e6, record.valid_bpc) for record in history if record.valid_bpc is not None]
    axes.plot(*zip(*validated, strict=True), color="#1f4e8c", marker="o", markersize=3, label="validation")
    axes.axhline(test_bpc, color="#c0392b", linestyle="--", linewidth=1, label=f"test {test_bpc:.3f}")
    axes.set(xlabel="characters read (millions)", ylabel="bits per character", title="Training")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        # no Software tag: the same numbers give the same bytes with any release that draws alike
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def write_samples(path: Path, samples: Mapping[float, Sequence[str]]) -> None:
    """Samples by temperature, under headings; a terminal that shows the file obeys nothing in it."""
    blocks = []
    for temperature, texts in samples.items():
        heading = "greedy" if temperature == 0 else f"temperature {temperature:g}"
        blocks.append(f"=== {heading} ===\n\n" + "\n\n".join(harmless(text.strip()) for text in texts) + "\n")
    write_text(path, "\n".join(blocks))
