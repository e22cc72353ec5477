"""Samples as text that a terminal or a page may show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from charloom.files import write_text
from charloom.terminal import harmless


def write_samples(
    path: Path, samples: Mapping[float, Sequence[str]], by_class: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> None:
    """Samples by temperature and by class, under headings; a terminal that shows the file obeys nothing in it."""
    headed = {heading(temperature): texts for temperature, texts in samples.items()}
    headed |= {f"class {harmless(name)}": texts for name, texts in by_class.items()}
    blocks = [
        f"=== {above} ===\n\n" + "\n\n".join(harmless(text.strip()) for text in texts) + "\n"
        for above, texts in headed.items()
    ]
    write_text(path, "\n".join(blocks))


def heading(temperature: float) -> str:
    """What samples of a temperature are called."""
    return "greedy" if temperature == 0 else f"temperature {temperature:g}"
