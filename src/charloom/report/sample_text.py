"""Write samples.txt, the samples as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from charloom.evaluation.samples import SampleGroup
from charloom.files import write_text
from charloom.terminal import harmless


def write_sample_text(path: Path, groups: Sequence[SampleGroup]) -> None:
    """Write samples.txt: the texts of each group below its heading.

    Control characters are escaped, so that the file can be printed to a terminal.
    """
    blocks = [
        f"=== {harmless(group.heading)} ===\n\n" + "\n\n".join(harmless(text.strip()) for text in group.texts) + "\n"
        for group in groups
    ]
    write_text(path, "\n".join(blocks))
