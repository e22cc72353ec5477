"""The page as text: what it holds, and what no text of a corpus can make of it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charloom.evaluation.evaluation import Findings
from charloom.report.page import write_page
from charloom.training.history import Record
from tests.report.conftest import HOSTILE


class Page(HTMLParser):
    """A page's elements, its text outside scripts and styles, and its addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[str] = []
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] not in (["script"], ["style"]):
            self.text += data


def written(folder: Path, findings: Findings) -> Page:
    write_page(folder / "report.html", findings)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return written(tmp_path_factory.mktemp("page"), findings)


def test_holds_what_the_evaluation_found(page: Page, findings: Findings) -> None:
    assert f"{findings.scores.total.bits_per_character:.3f} bits" in page.text
    for name, bpc in findings.baselines.bpc.items():
        assert name in page.text
        assert f"{bpc:.3f}" in page.text
    for words in ("greedy", "temperature 0.5", "temperature 50", "learning_rate", findings.digest, "mine"):
        assert words in page.text
    assert page.html.count('class="cells"') == len(findings.readings) == 6


def test_a_hostile_text_is_shown_and_nothing_more(page: Page) -> None:
    assert "<script>document.title = 'owned'</script>" in page.text
    assert page.elements.count("script") == page.html.count('type="application/json"') + 1
    assert not {"img", "svg/onload=alert(1)", "b", "i onclick"} & set(page.elements)
    assert page.handlers == []
    assert page.addresses == ["data:,"]


def test_no_character_of_it_controls_anything(page: Page) -> None:
    controls = "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ufeff\\ud800-\\udfff]"
    assert re.findall(controls, page.html) == []
    assert r"\x1b[2J\x07\x08\x7f \u202etxt.exe\u2066" in page.text


def test_only_its_own_script_may_run_and_nothing_may_be_fetched(page: Page) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page.html)
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-[\w+/]{43}='", policy
    )
    assert "http" not in page.html.replace("http-equiv", "").replace(HOSTILE[1][40:60], "").split("<main>")[0]


def test_the_same_findings_give_the_same_bytes(page: Page, findings: Findings, tmp_path: Path) -> None:
    assert written(tmp_path, findings).html == page.html


def test_names_no_folder_of_this_machine(page: Page) -> None:
    assert "/home/someone" not in page.html


def test_long_samples_and_articles_are_cut_and_it_says_so(findings: Findings, tmp_path: Path) -> None:
    page = written(tmp_path, replace(findings, samples={0.0: ["a" * 5000], 1.0: [f"sample {i}." for i in range(9)]}))
    assert "a" * 1200 in page.text
    assert "a" * 1201 not in page.text
    assert "sample 2." in page.text
    assert "sample 3." not in page.text
    assert "All samples are in samples.txt" in page.text
    assert "more characters are not shown" in page.text


def test_a_history_of_one_record_and_one_of_many_are_drawn(findings: Findings, tmp_path: Path) -> None:
    one = Record(1, 0.1, 100, 0.01, 1.0, 3.0, 4.0, 3.1, 4.1)
    assert "NaN" not in written(tmp_path, replace(findings, history=[one])).html
    many = [replace(one, step=step, characters=step * 1000, bpc=2 + 1 / step) for step in range(1, 100_001)]
    assert len(written(tmp_path, replace(findings, history=many)).html) < 300_000


def test_a_classifier_has_a_section_and_its_samples_stand_by_class(
    page: Page, told_findings: Findings, tmp_path: Path
) -> None:
    told = written(tmp_path, told_findings)
    for words in ("Which class it is", "1.250 nats", "0.750 with one temperature of", "4.50", "12.5 %", "3.1 %"):
        assert words in told.text
        assert words not in page.text
    for name, accuracy in told_findings.baselines.accuracy.items():
        assert name in told.text
        assert f"{accuracy:.3f}" in told.text
    assert told.html.count('class="columns"') == 2
    assert "b" not in told.elements
    assert r"\x1b[31mred" in told.text


def test_without_articles_there_is_no_section_for_them(findings: Findings, tmp_path: Path) -> None:
    assert "What surprises it" not in written(tmp_path, replace(findings, readings=[])).text
