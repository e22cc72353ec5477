"""What the page shows, and that no text of a corpus can become a part of its HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charloom.evaluation.samples import SampleGroup
from charloom.report.page import visible, write_page
from charloom.training.history import Record
from tests.report.conftest import HOSTILE, Reported, sampled, unmeasured

CUT = "The page shows only a part of the samples. The file samples.txt contains all samples in full."


class Page(HTMLParser):
    """The elements of a page, its text outside scripts and styles, its event handlers and its addresses."""

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


def written(folder: Path, reported: Reported) -> Page:
    write_page(folder / "report.html", *reported)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(reported: Reported, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return written(tmp_path_factory.mktemp("page"), reported)


def test_the_page_shows_the_evaluation_and_its_context(page: Page, reported: Reported) -> None:
    evaluation, context = reported
    assert f"{evaluation.scores.total.bits_per_character:.3f} bits" in page.text
    for name, bpc in context.baselines.bpc.items():
        assert name in page.text
        assert f"{bpc:.3f}" in page.text
    for words in ("greedy", "temperature 0.5", "temperature 50", "learning_rate", context.digest, "mine"):
        assert words in page.text
    assert page.html.count('class="cells"') == len(evaluation.readings) == 6


def test_the_page_shows_a_strip_of_samples_from_the_training(page: Page, reported: Reported, tmp_path: Path) -> None:
    shown = words(page)
    assert "What the model wrote while it learned" in shown
    assert page.html.count('<p class="at">') == 6  # after 0, 1, 2, 4, 8 and 9 thousand characters
    for read, bpc in (("1,000", "4.100"), ("8,000", "0.512"), ("9,000", "0.456")):
        assert f"{read} characters read, {bpc} bits per character" in shown
    assert "3,000 characters read" not in shown
    assert "this model predicts what its n-gram memory predicts" in shown
    assert "its n-gram memory predicts" not in words(written(tmp_path, without_memory(reported)))


def test_without_samples_of_the_training_there_is_no_strip(reported: Reported, tmp_path: Path) -> None:
    page = written(tmp_path, reported._replace(context=replace(reported.context, samples=[])))
    assert "while it learned" not in page.text
    assert page.html.count('<p class="at">') == 0


def without_memory(reported: Reported) -> Reported:
    return reported._replace(context=replace(reported.context, memory=None))


def test_parameters_are_shown_as_in_params_yaml(page: Page) -> None:
    for name, value in (("deduplicate", "false"), ("max_size", "null"), ("text_columns", "[2, 3]")):
        assert f'<th scope="row">{name}</th><td>{value}</td>' in page.html


def test_a_corpus_without_classes_is_not_divided_by_class(page: Page, reported: Reported, tmp_path: Path) -> None:
    evaluation = reported.evaluation
    breakdown = evaluation.breakdown._replace(by_class=evaluation.breakdown.by_class[:1])
    readings = [replace(reading, class_name="nameless") for reading in evaluation.readings]
    alone = replace(evaluation, breakdown=breakdown, readings=readings)
    without = written(tmp_path, reported._replace(evaluation=alone))
    assert "By class" in page.text
    assert "By class" not in without.text
    assert "nameless" not in without.text


@pytest.mark.parametrize(("char", "shown"), [(" ", "␣"), ("\u3000", "U+3000"), ("\u200d", "U+200D"), ("é", "é")])
def test_characters_that_cannot_be_seen_are_shown_as_their_code_points(char: str, shown: str) -> None:
    assert visible(char) == shown


def test_a_hostile_text_is_shown_and_adds_no_element_handler_or_address(page: Page) -> None:
    assert "<script>document.title = 'owned'</script>" in page.text
    assert page.elements.count("script") == page.html.count('type="application/json"') + 1
    assert not {"img", "svg/onload=alert(1)", "b", "i onclick"} & set(page.elements)
    assert page.handlers == []
    assert page.addresses == ["data:,", "play.html"]


def test_control_characters_are_escaped(page: Page) -> None:
    controls = "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ufeff\\ud800-\\udfff]"
    assert re.findall(controls, page.html) == []
    assert r"\x1b[2J\x07\x08\x7f \u202etxt.exe\u2066" in page.text


def test_the_policy_allows_only_the_pages_own_script_and_no_request(page: Page) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page.html)
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-[\w+/]{43}='", policy
    )
    assert "http" not in page.html.replace("http-equiv", "").replace(HOSTILE[1][40:60], "").split("<main>")[0]


def test_the_same_evaluation_gives_the_same_bytes(page: Page, reported: Reported, tmp_path: Path) -> None:
    assert written(tmp_path, reported).html == page.html


def test_the_page_names_no_folder_of_this_machine(page: Page) -> None:
    assert "/home/someone" not in page.html


def test_long_samples_and_articles_are_cut(reported: Reported, tmp_path: Path) -> None:
    samples = [SampleGroup(0.0, None, ["a" * 5000]), SampleGroup(1.0, None, [f"sample {i}." for i in range(9)])]
    page = written(tmp_path, reported._replace(evaluation=replace(reported.evaluation, samples=samples)))
    assert "a" * 1200 in page.text
    assert "a" * 1201 not in page.text
    assert "sample 2." in page.text
    assert "sample 3." not in page.text
    assert CUT in page.text
    assert re.search(r"The page does not show the other [\d,]+ symbols of this article", page.text)


@pytest.mark.parametrize(
    ("texts", "cut"),
    [(["a" * 1200] * 3, False), (["a" * 1201], True), (["a"] * 4, True)],
    ids=["all in full", "a long text", "many texts"],
)
def test_the_page_names_samples_txt_if_it_does_not_show_every_sample_in_full(
    reported: Reported, tmp_path: Path, texts: list[str], cut: bool
) -> None:
    samples = [SampleGroup(0.0, None, texts)]
    page = written(tmp_path, reported._replace(evaluation=replace(reported.evaluation, samples=samples)))
    assert (CUT in page.text) == cut


def test_a_history_of_one_record_and_one_of_many_are_drawn(reported: Reported, tmp_path: Path) -> None:
    def with_history(history: list[Record]) -> Page:
        return written(tmp_path, reported._replace(context=replace(reported.context, history=history)))

    one = Record(1, 0.1, 100, 0.01, 1.0, 3.0, 4.0, 3.1, 4.1)
    assert "NaN" not in with_history([one]).html
    many = [replace(one, step=step, characters=step * 1000, bpc=2 + 1 / step) for step in range(1, 100_001)]
    assert len(with_history(many).html) < 300_000


def test_only_a_conditioned_model_has_a_section_about_classes_and_samples_by_class(
    page: Page, classified: Reported, tmp_path: Path
) -> None:
    conditioned = written(tmp_path, classified)
    for words in ("Which class an article has", "1.250 nats", "temperature of 4.50", "12.5 %"):
        assert words in " ".join(conditioned.text.split())
        assert words not in page.text
    for name, accuracy in classified.context.baselines.accuracy.items():
        assert name in conditioned.text
        assert f"{accuracy:.3f}" in conditioned.text
    assert conditioned.html.count('class="columns"') == 2
    assert "b" not in conditioned.elements
    assert r"\x1b[31mred" in conditioned.text


def test_the_section_about_articles_is_left_out_if_none_was_read(reported: Reported, tmp_path: Path) -> None:
    without = reported._replace(evaluation=replace(reported.evaluation, readings=[]))
    assert "What surprises the model" not in written(tmp_path, without).text


def words(page: Page) -> str:
    """The text of the page, each run of white space as one space."""
    return " ".join(page.text.split())


TRAINED = "The simpler models were trained on a sample of 20.0 of 29.1 million characters."
TESTED = "The simpler models were tested on a sample of 3,000 of 5,000 characters."
NONE = "No simpler models were measured, because baselines.max_characters is 0."


def test_the_page_states_amounts_of_text_only_if_they_differ(page: Page, reported: Reported, tmp_path: Path) -> None:
    assert "All models were trained on the same text." in words(page)
    assert "sample of" not in page.text
    assert "; trained on" not in page.text
    shown = words(written(tmp_path, sampled(reported)))
    assert "All models were trained on the same text." not in shown
    assert shown.count(f"{TRAINED} {TESTED}") == 3  # below the title, above the bars, above the parts
    assert "this model trained on 29.1 million characters" in shown
    for name in ("unigram", "2-gram", "xz", "PPMd"):
        assert re.search(rf"{name} [\w ]+; trained on 20.0 million characters", shown)


def test_a_model_that_has_not_read_all_text_says_so_too(reported: Reported, tmp_path: Path) -> None:
    half = [replace(record, epoch=0.5) for record in reported.context.history]
    shown = words(written(tmp_path, reported._replace(context=replace(reported.context, history=half))))
    read = reported.context.baselines.train.total
    assert f"this model trained on {read // 2:,} characters" in shown
    assert f"; trained on {read:,} characters" in shown


def test_the_classifiers_say_on_how_many_labelled_articles_they_were_trained(
    classified: Reported, tmp_path: Path
) -> None:
    sentence = "The other classifiers were trained on 25 of 1,040 labelled articles."
    shown = words(written(tmp_path, sampled(classified)))
    assert sentence in shown
    assert "this model trained on 1,040 labelled articles" in shown
    assert "regression trained on 25 labelled articles" in shown
    assert "labelled articles" not in written(tmp_path, classified).text


def test_parts_that_a_sample_lacks_have_one_bar(reported: Reported, tmp_path: Path) -> None:
    pages = [written(tmp_path, each) for each in (reported, sampled(reported))]
    assert pages[0].html.count('<i class="other"') == pages[1].html.count('<i class="other"') + 2  # a class, a kind


@pytest.mark.parametrize("conditioned", [False, True])
def test_the_page_without_simpler_models_says_so(
    reported: Reported, classified: Reported, tmp_path: Path, conditioned: bool
) -> None:
    page = written(tmp_path, unmeasured(classified if conditioned else reported))
    shown = words(page)
    assert shown.count(NONE) == 3 + conditioned
    assert "Comparison with simpler models" in shown
    for absent in ("n-gram model", "Kneser", "All models", "PPMd", "xz", "4-gram", "naive Bayes"):
        assert absent not in shown
    assert page.html.count('<i class="other"') == 0
    assert page.html.count('class="ours-row"') == 1 + conditioned
