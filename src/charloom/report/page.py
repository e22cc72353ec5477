"""Write report.html, one file that contains everything it shows and loads nothing from the network."""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from charloom.evaluation.baselines import Amount
from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.evaluation import Evaluation, Reading
from charloom.evaluation.samples import SampleGroup
from charloom.files import write_text
from charloom.report.charts import Bar, Chart, Point, line, linear, powers, thinned
from charloom.report.context import THIS_MODEL, Context, paired
from charloom.report.memory_table import memory_table
from charloom.terminal import harmless
from charloom.text.vocab import EOS, UNK, Vocabulary
from charloom.training.history import Record
from charloom.training.sampler import strip

# The page shows at most so many samples of a group, and so many characters of a sample. samples.txt has all.
SAMPLES_SHOWN, CHARACTERS_SHOWN = 3, 1200
HEAT = (0.25, 0.5, 1, 2, 3, 4.5, 6, 8, 10)  # limits in bits: a symbol that reaches more of them gets a stronger colour
VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}


def write_page(path: Path, evaluation: Evaluation, context: Context) -> None:
    """Write the report. The same evaluation and context give the same bytes."""
    script = (Path(__file__).parent / "templates" / "script.js").read_text(encoding="utf-8")
    classification = evaluation.classification
    accuracy_after = classification.accuracy_after if classification else {}
    baselines = context.baselines
    page = templates().get_template("page.html")
    text = page.render(
        evaluation=evaluation,
        context=context,
        total=evaluation.scores.total,
        baselines=baseline_bars(
            context.all_bpc(evaluation), {} if context.same_training_text else context.all_train_characters()
        ),
        training=training_chart(context.history, evaluation.scores.total.bits_per_character),
        positions=position_chart(evaluation, context),
        class_bars=part_bars(evaluation.breakdown.by_class, baselines.breakdown.by_class),
        kind_bars=part_bars(evaluation.breakdown.by_kind, baselines.breakdown.by_kind),
        samples_by_temperature=[_column(group) for group in evaluation.samples if group.class_name is None],
        samples_by_class=[_column(group) for group in evaluation.samples if group.class_name is not None],
        class_temperature=next((each.temperature for each in evaluation.samples if each.class_name is not None), None),
        samples_cut=any(map(_is_cut, evaluation.samples)),
        strip=strip(context.samples),
        classifier_bars=classifier_bars(context.all_accuracy(evaluation), baselines.labelled),
        accuracy_after_bars=accuracy_bars(accuracy_after, accuracy_after.keys()),
        readings=[(reading, cells(reading, context.vocabulary)) for reading in evaluation.readings],
        memory=memory_table(evaluation.readings, context.vocabulary),
        visible=visible,
        symbols=[*map(visible, context.vocabulary.characters), EOS, UNK],
        heat=HEAT,
        script=Markup(script),  # the script is part of charloom and contains no text of a corpus
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_text(path, text)


def templates() -> Environment:
    """The templates of the pages. Each text that they insert is escaped."""
    templates = Environment(
        loader=PackageLoader("charloom.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"harmless": harmless, "yaml": _as_yaml, "reading_json": _reading_json}
    return templates


def baseline_bars(bpc: Mapping[str, float], train_characters: Mapping[str, int]) -> list[Bar]:
    """The bits per character of each model, the best model first.

    `train_characters` states how much each model has read. It is empty if this is the same for all models.
    """
    largest = max(bpc.values())
    read = {name: f"trained on {_count(number)} characters" for name, number in train_characters.items()}
    notes = {name: "; ".join(filter(None, (_note(name), read.get(name)))) for name in bpc}
    return [
        Bar(name, value, 100 * value / largest, note=notes[name], ours=name == THIS_MODEL)
        for name, value in sorted(bpc.items(), key=lambda item: item[1])
    ]


def classifier_bars(accuracies: Mapping[str, float], labelled: Amount) -> list[Bar]:
    """The accuracy of each classifier, the best first. If the others have read fewer labelled articles, they say so."""
    best_first = dict(sorted(accuracies.items(), key=lambda item: -item[1]))
    bars = accuracy_bars(best_first, {THIS_MODEL})
    if labelled.is_whole:
        return bars
    return [
        replace(bar, note=f"trained on {labelled.total if bar.ours else labelled.read:,} labelled articles")
        for bar in bars
    ]


def accuracy_bars(accuracies: Mapping[str, float], ours: Collection[str]) -> list[Bar]:
    """Accuracies in the given order. The bars named in `ours` have the model's colour."""
    return [Bar(name, value, 100 * value, ours=name in ours) for name, value in accuracies.items()]


def _count(number: int) -> str:
    """A number of characters, such as `29.1 million` or `250,000`."""
    return f"{number / 1e6:,.1f} million" if number >= 1e6 else f"{number:,}"


def _note(name: str) -> str:
    """What a simpler model does, in a few words."""
    if name == "unigram":
        return "counts how often each character occurs"
    if name == "2-gram":
        return "predicts from the character before"
    if name.endswith("-gram"):
        return f"predicts from the {int(name.removesuffix('-gram')) - 1} characters before"
    return {"xz": "finds repetitions of earlier text", "PPMd": "predicts from contexts of several lengths"}.get(
        name, ""
    )


def part_bars(ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart]) -> list[Bar]:
    """The bits of each part of a split, for the model and for the n-gram."""
    percent = 100 / max(part.bits for part in (*ours, *ngram))
    return [
        Bar(part.name, part.bits, percent * part.bits, ours=True)
        if other is None
        else Bar(part.name, part.bits, percent * part.bits, other.bits, percent * other.bits, ours=True)
        for part, other in paired(ours, ngram)
    ]


def training_chart(history: Sequence[Record], test_bpc: float) -> Chart:
    """Bits per character in training and in validation, over the characters read."""
    trained = thinned([(record.characters, record.bpc) for record in history])
    validated = [(record.characters, record.valid_bpc) for record in history if record.valid_bpc is not None]
    # The first losses are far above the others. The highest 3 % may lie outside the chart.
    lower = sorted(bpc for _, bpc in trained)[: max(1, round(0.97 * len(trained)))]
    values = [*lower, *(bpc for _, bpc in validated), test_bpc]
    margin = 0.04 * (max(values) - min(values) or 1)
    last = history[-1].characters
    x = linear(0, last, unit=1e6, suffix=" M") if last >= 1e6 else linear(0, last, unit=1e3, suffix=" k")
    y = linear(min(values) - margin, max(values) + margin)
    lines = [line("training", "pale", trained, x, y), line("validation", "ours dots", thinned(validated, 100), x, y)]
    return Chart(
        label="Bits per character over the characters read, in training and on the validation articles",
        x=x,
        y=y,
        x_label="characters read",
        lines=lines,
        notes=[(x.place(read), _training_note(read, bpc, validated)) for read, bpc in trained],
        rule=(round(100 - y.place(test_bpc), 2), f"test {test_bpc:.3f}"),
    )


def _training_note(read: float, bpc: float, validated: Sequence[Point]) -> str:
    earlier = [value for at, value in validated if at <= read]
    validation = f", validation {earlier[-1]:.3f}" if earlier else ""
    return f"{read:,.0f} characters read: training {bpc:.3f}{validation}"


def position_chart(evaluation: Evaluation, context: Context) -> Chart:
    """Bits per symbol over the position in the article, for the model and for the longest n-gram."""
    ours, ngram = evaluation.breakdown.by_position, context.baselines.breakdown.by_position
    name = context.baselines.ngram
    x = powers(1, int(ours[-1].name))
    y = linear(0, max(part.bits for part in (*ours, *ngram)) * 1.04)
    our_points, ngram_points = ([(float(part.name), part.bits) for part in parts] for parts in (ours, ngram))
    ngram_lines = [line(name, "other dots", ngram_points, x, y)] if ngram else []
    return Chart(
        label="Bits per symbol over the position in the article",
        x=x,
        y=y,
        x_label="characters from the article's beginning",
        lines=[*ngram_lines, line(THIS_MODEL, "ours dots", our_points, x, y)],
        notes=[(x.place(float(part.name)), _position_note(part, other, name)) for part, other in paired(ours, ngram)],
    )


def _position_note(part: BreakdownPart, other: BreakdownPart | None, ngram: str) -> str:
    compared = f", {ngram} {other.bits:.2f}" if other else ""
    return f"from character {part.name} on: {part.bits:.2f} bits{compared}"


def cells(reading: Reading, vocabulary: Vocabulary) -> list[tuple[str, int]]:
    """The symbols of a reading as the page shows them, each with its heat: how many limits of HEAT its bits reach."""
    return [
        (_in_text(symbol, vocabulary), sum(cost >= limit for limit in HEAT))
        for symbol, cost in zip(reading.codes.tolist(), reading.surprisal.bits.tolist(), strict=True)
    ]


def _in_text(symbol: int, vocabulary: Vocabulary) -> str:
    """A symbol as it looks in a text. A newline is visible and breaks the line. The end of an article is a square."""
    if symbol == vocabulary.eos:
        return "■"
    char = vocabulary.decode([symbol])
    return "↵\n" if char == "\n" else harmless(char)


def visible(char: str) -> str:
    """A character as the tooltip shows it. Characters that cannot be seen alone are shown as in U+3000.

    These are white space, accents, and characters that only join or change others, as in many emoji.
    """
    if char in VISIBLE:
        return VISIBLE[char]
    unseen = len(char) == 1 and unicodedata.category(char) in ("Zs", "Mn", "Cf")
    return f"U+{ord(char):04X}" if unseen else harmless(char)


def _column(group: SampleGroup) -> tuple[str, list[list[str]]]:
    """A heading, and the first samples of a group, each as the list of its articles."""
    texts = [text.strip()[:CHARACTERS_SHOWN].split("\n") for text in group.texts[:SAMPLES_SHOWN]]
    return group.heading if group.class_name is None else group.class_name, texts


def _is_cut(group: SampleGroup) -> bool:
    """Whether the page shows only a part of a group."""
    return len(group.texts) > SAMPLES_SHOWN or any(len(text.strip()) > CHARACTERS_SHOWN for text in group.texts)


def _reading_json(reading: Reading) -> Markup:
    """A reading for the script: for each symbol its id, its bits, and each expected id with its percentage."""
    columns = reading.codes, reading.surprisal.bits, reading.surprisal.expected, reading.surprisal.probabilities
    rows = []
    for symbol, bits, ids, shares in zip(*(column.tolist() for column in columns), strict=True):
        percents = (round(100 * share, 1) for share in shares)
        rows.append([symbol, round(bits, 2), *chain.from_iterable(zip(ids, percents, strict=True))])
    return Markup(json.dumps(rows, separators=(",", ":")))  # only numbers, which need no escaping


def _as_yaml(value: object) -> str:
    """A parameter's value as params.yaml has it: true, null, [0.5, 1.0]."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
