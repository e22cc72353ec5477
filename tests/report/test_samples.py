"""Samples as text that a terminal may show."""

from __future__ import annotations

from pathlib import Path

from charloom.report.samples import write_samples


def test_samples_stand_under_headings_by_temperature(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.txt", {0.0: ["a a a "], 0.5: ["one\ntwo", "\nthree"], 1.0: ["é"]})
    assert (tmp_path / "samples.txt").read_bytes().decode() == (
        "=== greedy ===\n\na a a\n\n=== temperature 0.5 ===\n\none\ntwo\n\nthree\n\n=== temperature 1 ===\n\né\n"
    )


def test_a_sample_is_harmless_text(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.txt", {1.0: ["\x1b]0;owned\x07 \u202e <script>alert(1)</script>"]})
    content = (tmp_path / "samples.txt").read_bytes().decode()
    assert content == "=== temperature 1 ===\n\n\\x1b]0;owned\\x07 \\u202e <script>alert(1)</script>\n"


def test_classes_follow_under_their_names(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.txt", {0.0: ["a"]}, {"Sci/Tech": ["b", "c"], "\x1b[2J": ["d"]})
    assert (tmp_path / "samples.txt").read_bytes().decode() == (
        "=== greedy ===\n\na\n\n=== class Sci/Tech ===\n\nb\n\nc\n\n=== class \\x1b[2J ===\n\nd\n"
    )
