"""The names of a run's numbers: MLflow accepts them, each number has its own, and a class name can be read from it."""

from __future__ import annotations

import re

from charloom.files import write_json
from charloom.tracking.publication import metric_names
from tests.tracking.tracked import Tracked

CLASSES = [
    "C#",
    "C+",
    "C:",
    "a/b",
    "a b",
    "q",
    ".",
    "..",
    "日本",
    "Sci/Tech",
    "a_b",
    "x" * 300,
    "x" * 299 + "y",
    "#" * 99,
]


def named(*classes: str) -> list[str]:
    names = metric_names([("test", "bpc_by_class", each) for each in classes])
    return [name.removeprefix("test/bpc_by_class/") for name in names]


def test_a_name_has_underscores_unless_two_classes_would_share_it() -> None:
    assert named("Sci/Tech", "C#", "日本") == ["Sci_Tech", "C_", "日本"]
    assert named("C#", "C+", "C_", "q:") == ["C.23.", "C.2b.", "C_", "q_"]


def test_the_codes_of_a_name_give_the_class_again() -> None:
    classes = ["C#", "C+", "a/b", "a:b", "a.b", "é €", "é …"]
    names = named(*classes)
    assert [re.sub(r"\.([0-9a-f]+)\.", lambda found: chr(int(found[1], 16)), name) for name in names] == classes


def test_mlflow_gets_the_number_of_every_class(tracked: Tracked) -> None:
    numbers = {name: float(place) for place, name in enumerate(CLASSES)}
    write_json(tracked.workspace / "details/evaluate.json", {"bpc": 1.0, "perplexity": 2.0, "bpc_by_class": numbers})
    tracked.evaluate()
    (run,) = tracked.runs()
    found = {name: value for name, value in run.data.metrics.items() if "bpc_by_class" in name}
    assert sorted(found.values()) == sorted(numbers.values())
    assert max(map(len, found)) == 250
    assert run.data.tags["evaluate_key"]
