"""report.html: one file that holds all it shows, and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.evaluation import Findings, Reading
from charloom.files import write_text
from charloom.report.charts import Bar, Chart, Point, line, linear, powers, thinned
from charloom.report.samples import heading
from charloom.terminal import harmless
from charloom.text.vocab import EOS, UNK, Vocabulary

SAMPLES_SHOWN, CHARACTERS_SHOWN = 3, 1200  # a temperature, a sample: the rest is in samples.txt
HEAT = (0.25, 0.5, 1, 2, 3, 4.5, 6, 8, 10)  # bits at which a symbol takes the next colour
MADE_VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}


def write_page(path: Path, findings: Findings) -> None:
    """Write the report; the same findings give the same bytes."""
    templates = Environment(
        loader=PackageLoader("charloom.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"harmless": harmless, "data": _data}
    script = (Path(__file__).parent / "templates" / "script.js").read_text(encoding="utf-8")
    told = findings.classification
    accuracies = dict(sorted(findings.accuracies.items(), key=lambda item: -item[1]))
    page = templates.get_template("page.html").render(
        findings=findings,
        baselines=baseline_bars(findings),
        training=training_chart(findings),
        positions=position_chart(findings),
        classes=part_bars(findings.breakdown.by_class, findings.baselines.breakdown.by_class),
        kinds=part_bars(findings.breakdown.by_kind, findings.baselines.breakdown.by_kind),
        columns={heading(temperature): _shown(texts) for temperature, texts in findings.samples.items()},
        by_class={name: _shown(texts) for name, texts in findings.samples_by_class.items()},
        told=told,
        accuracies=accuracy_bars(accuracies, ours="this model"),
        as_read=accuracy_bars(told.accuracy_after if told else {}, ours="all"),
        readings=[(reading, cells(reading, findings.vocabulary)) for reading in findings.readings],
        symbols=[*map(visible, findings.vocabulary.characters), EOS, UNK],
        heat=HEAT,
        script=Markup(script),  # ours, and no text of a corpus in it
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_text(path, page)


def baseline_bars(findings: Findings) -> list[Bar]:
    """Everything that predicted the test split, the best first."""
    bpc = {"this model": findings.scores.total.bits_per_character, **findings.baselines.bpc}
    longest = max(bpc.values())
    return [
        Bar(name, value, 100 * value / longest, note=_note(name), ours=name == "this model")
        for name, value in sorted(bpc.items(), key=lambda item: item[1])
    ]


def accuracy_bars(accuracies: Mapping[str, float], ours: str) -> list[Bar]:
    """Shares of articles told right, as they are, the one named `ours` in the model's colour."""
    return [Bar(name, value, 100 * value, ours=name == ours) for name, value in accuracies.items()]


def _note(name: str) -> str:
    if name == "unigram":
        return "knows how often each character occurs"
    if name == "2-gram":
        return "counts what follows each character"
    if name.endswith("-gram"):
        return f"counts what follows {int(name.removesuffix('-gram')) - 1} characters"
    return {"xz": "copies what it has read", "PPMd": "mixes contexts, learns as it reads"}.get(name, "")


def part_bars(ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart]) -> list[Bar]:
    """The parts of a split, with the n-gram's cost beside the model's."""
    longest = max(part.bits for part in (*ours, *ngram))
    return [
        Bar(part.name, part.bits, 100 * part.bits / longest, other.bits, 100 * other.bits / longest, ours=True)
        for part, other in zip(ours, ngram, strict=True)
    ]


def training_chart(findings: Findings) -> Chart:
    """Bits per character of training and validation over the symbols read."""
    trained = thinned([(record.characters, record.bpc) for record in findings.history])
    validated = [(r.characters, r.valid_bpc) for r in findings.history if r.valid_bpc is not None]
    test = findings.scores.total.bits_per_character
    after_the_start = sorted(bpc for _, bpc in trained)[: max(1, round(0.97 * len(trained)))]
    values = [*after_the_start, *(bpc for _, bpc in validated), test]
    margin = 0.04 * (max(values) - min(values) or 1)
    read = findings.history[-1].characters
    x = linear(0, read, unit=1e6, suffix=" M") if read >= 1e6 else linear(0, read, unit=1e3, suffix=" k")
    y = linear(min(values) - margin, max(values) + margin)
    lines = [line("training", "pale", trained, x, y), line("validation", "ours dots", thinned(validated, 100), x, y)]
    return Chart(
        label="Bits per character over the characters read, in training and on the validation articles",
        x=x,
        y=y,
        x_label="characters read",
        lines=lines,
        notes=[(x.place(at), _training_note(at, bpc, validated)) for at, bpc in trained],
        rule=(round(100 - y.place(test), 2), f"test {test:.3f}"),
    )


def _training_note(at: float, bpc: float, validated: Sequence[Point]) -> str:
    last = [value for where, value in validated if where <= at]
    validation = f", validation {last[-1]:.3f}" if last else ""
    return f"{at:,.0f} characters read: training {bpc:.3f}{validation}"


def position_chart(findings: Findings) -> Chart:
    """Bits per symbol over the position in the article, the model's and the longest n-gram's."""
    ours, ngram = findings.breakdown.by_position, findings.baselines.breakdown.by_position
    name = findings.baselines.ngram
    x = powers(1, int(ours[-1].name))
    y = linear(0, max(part.bits for part in (*ours, *ngram)) * 1.04)
    our_points, ngram_points = ([(float(part.name), part.bits) for part in parts] for parts in (ours, ngram))
    return Chart(
        label="Bits per symbol over the position in the article",
        x=x,
        y=y,
        x_label="characters from the article's beginning",
        lines=[line(name, "other dots", ngram_points, x, y), line("this model", "ours dots", our_points, x, y)],
        notes=[
            (x.place(float(part.name)), f"from character {part.name}: {part.bits:.2f} bits, {name} {other.bits:.2f}")
            for part, other in zip(ours, ngram, strict=True)
        ],
    )


def cells(reading: Reading, vocabulary: Vocabulary) -> list[tuple[str, int]]:
    """The symbols of a reading as they are shown, each with its heat from 0 to len(HEAT)."""
    return [
        (_as_read(symbol, vocabulary), sum(cost >= limit for limit in HEAT))
        for symbol, cost in zip(reading.codes.tolist(), reading.surprisal.bits.tolist(), strict=True)
    ]


def _as_read(symbol: int, vocabulary: Vocabulary) -> str:
    """A symbol in running text: a line ends where one did, and the end of the article is a sign."""
    if symbol == vocabulary.eos:
        return "■"
    char = vocabulary.decode([symbol])
    return "↵\n" if char == "\n" else harmless(char)


def visible(char: str) -> str:
    """A character standing alone, as a tooltip names it."""
    return MADE_VISIBLE.get(char) or harmless(char)


def _shown(texts: Sequence[str]) -> list[list[str]]:
    """The first samples, cut where they are long, as their articles."""
    return [text.strip()[:CHARACTERS_SHOWN].split("\n") for text in texts[:SAMPLES_SHOWN]]


def _data(reading: Reading) -> Markup:
    """What the script shows of a reading: for each symbol its id, bits, and the ids expected with their percents."""
    surprisal = reading.surprisal
    rows: list[Any] = [
        [symbol, round(bits, 2), *(each for pair in zip(ids, _percents(shares), strict=True) for each in pair)]
        for symbol, bits, ids, shares in zip(
            reading.codes.tolist(),
            surprisal.bits.tolist(),
            surprisal.expected.tolist(),
            surprisal.probabilities.tolist(),
            strict=True,
        )
    ]
    return Markup(json.dumps(rows, separators=(",", ":")))  # numbers alone: nothing to escape


def _percents(shares: Sequence[float]) -> list[float]:
    return [round(100 * share, 1) for share in shares]
