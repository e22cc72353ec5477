"""Run docs/tutorial.py cell by cell, and write docs/tutorial.md and its pictures: `make tutorial`.

tutorial.py is in the percent format, which VS Code and Jupyter open as a notebook. tutorial.md has the text of the
cells, their code, what they print and the pictures that they draw. jupytext and nbconvert could do this too. But one
page does not justify the Jupyter kernel and the other packages that they need.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import matplotlib

from charloom.errors import exit_with
from charloom.files import atomic_path, write_text

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.py"
NOTE = "<!-- `make tutorial` writes this file from {name}. Edit {name} instead. -->"


class Cell(NamedTuple):
    """A cell of a program in the percent format."""

    text: str  # Markdown, or the code
    is_code: bool
    line: int  # the first line of the text in the program, from 0


def read_cells(path: Path) -> list[Cell]:
    """The cells of a program."""
    program = path.read_text(encoding="utf-8")
    marks = list(re.finditer(r"^# %%(.*)\n", program, re.MULTILINE))
    ends = [mark.start() for mark in marks[1:]] + [len(program)]
    cells = []
    for mark, end in zip(marks, ends, strict=True):
        text, is_code = program[mark.end() : end].strip("\n"), "[markdown]" not in mark[1]
        line = program.count("\n", 0, mark.end())
        cells.append(Cell(text if is_code else re.sub("^# ?", "", text, flags=re.MULTILINE), is_code, line))
    return cells


def render(path: Path) -> None:
    """Run a program and write a Markdown file next to it. Its pictures are written to the folder images."""
    names: dict[str, object] = {"__name__": "__main__"}
    blocks = [NOTE.format(name=path.name)]
    for cell in read_cells(path):
        blocks += run_cell(cell, path, names) if cell.is_code else [cell.text]
    write_text(path.with_suffix(".md"), "\n\n".join(blocks) + "\n")


def run_cell(cell: Cell, path: Path, names: dict[str, object]) -> Iterator[str]:
    """Run a cell of code. Yields Markdown: the code, what it prints, and its pictures."""
    yield f"```python\n{cell.text}\n```"
    with redirect_stdout(io.StringIO()) as printed:
        # The empty lines make an error message state the line of the program.
        exec(compile("\n" * cell.line + cell.text, path.name, "exec", dont_inherit=True), names)
    if printed.getvalue():
        yield f"```text\n{printed.getvalue().rstrip()}\n```"
    yield from save_pictures(path.parent / "images")


def save_pictures(folder: Path) -> Iterator[str]:
    """Write the open figures of matplotlib. Yields the Markdown that shows them."""
    from matplotlib import pyplot

    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        name = f"{figure.get_label()}.png"
        with atomic_path(folder / name) as temporary:
            figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
        pyplot.close(figure)
        yield f"![{'; '.join(axes.get_title() for axes in figure.axes)}]({folder.name}/{name})"


def main() -> None:
    matplotlib.use("Agg")
    matplotlib.rcdefaults()  # ignore the user's matplotlibrc
    render(Path(sys.argv[1]) if len(sys.argv) > 1 else TUTORIAL)


if __name__ == "__main__":
    exit_with(main)
