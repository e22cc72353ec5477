"""samples.txt: samples as text that is safe to print to a terminal."""

from __future__ import annotations

from pathlib import Path

from charloom.evaluation.samples import SampleGroup
from charloom.report.sample_text import write_sample_text


def written(path: Path, *groups: SampleGroup) -> str:
    write_sample_text(path, groups)
    return path.read_bytes().decode()


def test_each_group_is_below_its_heading(tmp_path: Path) -> None:
    groups = (
        SampleGroup(0.0, None, ["a a a "]),
        SampleGroup(0.5, None, ["one\ntwo", "\nthree"]),
        SampleGroup(1.0, None, ["é"]),
    )
    assert written(tmp_path / "samples.txt", *groups) == (
        "=== greedy ===\n\na a a\n\n=== temperature 0.5 ===\n\none\ntwo\n\nthree\n\n=== temperature 1 ===\n\né\n"
    )


def test_control_characters_of_a_sample_are_escaped(tmp_path: Path) -> None:
    group = SampleGroup(1.0, None, ["\x1b]0;owned\x07 \u202e <script>alert(1)</script>"])
    content = written(tmp_path / "samples.txt", group)
    assert content == "=== temperature 1 ===\n\n\\x1b]0;owned\\x07 \\u202e <script>alert(1)</script>\n"


def test_the_heading_of_a_class_is_its_name_with_control_characters_escaped(tmp_path: Path) -> None:
    groups = SampleGroup(0.0, None, ["a"]), SampleGroup(0.5, "Sci/Tech", ["b", "c"]), SampleGroup(0.5, "\x1b[2J", ["d"])
    assert written(tmp_path / "samples.txt", *groups) == (
        "=== greedy ===\n\na\n\n=== class Sci/Tech ===\n\nb\n\nc\n\n=== class \\x1b[2J ===\n\nd\n"
    )
