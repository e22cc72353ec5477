from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from charloom.errors import InputError
from charloom.params_file import MAX_BYTES, load_params
from tests.conftest import CHECKOUT

VALID = (CHECKOUT / "params.yaml").read_text(encoding="utf-8")
VOCAB = VALID.partition("\nvocab:")[2].partition("\n\nwindows:")[0]  # the section's lines


def refusal(path: Path) -> str | None:
    try:
        load_params(path)
    except InputError as error:
        return str(error)
    return None


Reject = Callable[[str | bytes], str]


@pytest.fixture
def reject(tmp_path: Path) -> Reject:
    """The one line that a parameter file is refused with, less its path."""

    def message(content: str | bytes) -> str:
        path = tmp_path / "params.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        said = refusal(path)
        assert said is not None
        assert len(said.splitlines()) == 1
        assert said.startswith(str(path))
        return said.removeprefix(str(path))

    return message


def with_value(key: str, value: str) -> str:
    """The checked-in file with one value replaced; `key` is section.name."""
    section, _, name = key.partition(".")
    head, _, rest = VALID.partition(f"\n{section}:")
    lines = rest.split("\n")
    index = next(index for index, line in enumerate(lines) if line.startswith(f"  {name}:"))
    lines[index] = f"  {name}: {value}"
    return f"{head}\n{section}:" + "\n".join(lines)


def dvc_reads(text: str) -> Any:
    return YAML(typ="safe").load(text)  # as dvc.utils.serialize does


def load_text(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return load_params(path).flat()


def test_the_checked_in_file_loads_with_the_values_that_dvc_reads() -> None:
    path = CHECKOUT / "params.yaml"
    sections = dvc_reads(VALID)
    dvc = {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}
    assert load_params(path).flat() == dvc


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("train.batch_size", "-3", "train.batch_size = -3: must be greater than or equal to 1"),
        ("train.batch_size", "true", "train.batch_size = true: must be a whole number"),
        ("train.batch_size", "16.0", "train.batch_size = 16.0: must be a whole number"),
        ("train.batch_size", "'16'", "train.batch_size = '16': must be a whole number"),
        ("train.batch_size", "", "train.batch_size = null: must be a whole number"),
        ("train.batch_size", "1e3", "train.batch_size = 1000.0: must be a whole number"),
        ("train.batch_size", "2000000", "train.batch_size = 2000000: must be less than or equal to 1000000"),
        ("train.batch_size", "[16]", "train.batch_size = [16]: must be a whole number"),
        ("train.seed", "-1", "train.seed = -1: must be greater than or equal to 0"),
        ("train.epochs", "0", "train.epochs = 0: must be greater than 0"),
        ("train.epochs", ".nan", "train.epochs = nan: must be a finite number"),
        ("train.epochs", ".inf", "train.epochs = inf: must be a finite number"),
        ("train.epochs", "1e999", "train.epochs = inf: must be a finite number"),
        ("train.epochs", "three", "train.epochs = 'three': must be a number"),
        ("train.epochs", "true", "train.epochs = true: must be a number"),
        ("train.warmup", "1.0", "train.warmup = 1.0: must be less than 1"),
        ("train.device", "gpu", "train.device = 'gpu': must be 'auto', 'cpu', 'cuda' or 'mps'"),
        ("train.threads", "many", "train.threads = 'many': must be 'auto' or a whole number"),
        ("train.threads", "0", "train.threads = 0: must be 'auto' or greater than or equal to 1"),
        ("train.threads", "2.5", "train.threads = 2.5: must be 'auto' or a whole number"),
        ("model.cell", "lstm", "model.cell = 'lstm': must be 'RNN', 'LSTM' or 'GRU'"),
        ("data.source", "5", "data.source = 5: must be text"),
        ("data.mirror", "''", "data.mirror = '': must be text of 1 character(s) or more"),
        ("data.text_columns", "[]", "data.text_columns = []: must be a list of 1 or more"),
        ("data.text_columns", "text", "data.text_columns = 'text': must be a list, as in [0.5, 1.0]"),
        ("data.text_columns", "[0]", "data.text_columns[0] = 0: must be greater than or equal to 1 or text"),
        ("data.text_columns", "[text]", "class_column: must be all names, or all numbers from 1"),
        ("data.class_column", "1.5", "data.class_column = 1.5: must be a whole number or text"),
        ("data.errors", "ignore", "data.errors = 'ignore': must be 'strict' or 'replace'"),
        ("vocab.max_size", "1", "vocab.max_size = 1: must be greater than or equal to 2"),
        ("data.normalize", "NFD", "data.normalize = 'NFD': must be 'none', 'NFC' or 'NFKC'"),
        ("data.test_fraction", "0", "data.test_fraction = 0: must be greater than 0"),
        ("data.valid_fraction", "1", "data.valid_fraction = 1: must be less than 1"),
        ("tracking.enabled", "yes", "tracking.enabled = 'yes': must be true or false"),
        ("tracking.enabled", "1", "tracking.enabled = 1: must be true or false"),
        ("evaluate.temperatures", "0.5", "evaluate.temperatures = 0.5: must be a list, as in [0.5, 1.0]"),
        ("evaluate.articles", "101", "evaluate.articles = 101: must be less than or equal to 100"),
        ("baselines.ngram_order", "0", "baselines.ngram_order = 0: must be greater than or equal to 1"),
        ("baselines.ppmd_order", "65", "baselines.ppmd_order = 65: must be less than or equal to 64"),
        ("evaluate.temperatures", "[]", "evaluate.temperatures = []: must be a list of 1 or more"),
        ("evaluate.temperatures", f"{[1] * 21}", "= [1, 1, 1, 1, 1, 1, ...]: must be a list of 20 or fewer"),
        (
            "evaluate.temperatures",
            "[1, -1, 200]",
            "evaluate.temperatures[1] = -1: must be greater than or equal to 0 (and 1 more to mend)",
        ),
        (
            "windows.scope",
            "article",
            "train.batching = lanes reads across articles: allowed only with windows.scope = stream",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(reject: Reject, key: str, value: str, says: str) -> None:
    assert reject(with_value(key, value)).endswith(says)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("  batch_size: 16", "  batchsize: 16", "train.batchsize = 16: unknown key; did you mean batch_size?"),
        ("train:\n", "Train:\n", "unknown key; did you mean train?"),
        (
            "  layers: 1",
            "  layers: 1\n  zzz: 2",
            "model.zzz = 2: unknown key; allowed are cell, hidden_size, layers, dr",
        ),
        ("vocab:\n", "vocab.min_count: 3\nvocab:\n", "'vocab.min_count' = 3: unknown key; allowed are data, vocab, w"),
        ("vocab:\n", "vocab:\n  a.b: 3\n", "vocab.'a.b' = 3: unknown key; allowed are min_count"),
        ("vocab:\n", "vocab:\n  2: 3\n", "vocab.2: unknown key; allowed are min_count"),
        ("vocab:\n", "true: 3\nvocab:\n", ": true: unknown key; allowed are data, vocab"),
        ("vocab:\n", "vocab:\n  ? [a, b]\n  : 3\n", "found unhashable key"),
        ("vocab:\n", "vocab:\n  ? {a: b}\n  : 3\n", "found unhashable key"),
        ("vocab:\n", "<<: 3\nvocab:\n", "expected a mapping or list of mappings for merging"),
        ("  layers: 1", "", "model.layers is missing"),
        ("  layers: 1", "  layers: 1\n  layers: 2", "key 'layers' stands twice"),
        ("vocab:\n", "vocab: {}\nvocab:\n", "key 'vocab' stands twice"),
        (VOCAB, "", "vocab = null: must be a section of `name: value` lines"),
        (VOCAB, "\n  - 1", "vocab = [1]: must be a section of `name: value` lines"),
    ],
)
def test_a_wrong_key_is_named_with_a_hint(reject: Reject, old: str, new: str, says: str) -> None:
    assert VALID.count(old) == 1
    assert says in reject(VALID.replace(old, new))


def test_a_missing_section_is_named(reject: Reject) -> None:
    head, _, rest = VALID.partition("\nvocab:")
    assert reject(head + rest[rest.index("\nwindows:") :]) == ": vocab is missing"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ": must hold sections of `name: value` lines, found null"),
        (b"# a remark\n", ": must hold sections of `name: value` lines, found null"),
        (b"- a\n- b\n", ": must hold sections of `name: value` lines, found ['a', 'b']"),
        (b"a: 1\nb: c: d\n", ":2: not valid YAML: mapping values are not allowed here"),
        (b"a: 1\n---\nb: 2\n", ":2: not valid YAML: but found another document"),
        (b"a: *b\n", ":1: not valid YAML: found undefined alias 'b'"),
        (b'a: "b', ":1: not valid YAML: found unexpected end of stream"),
        (b"\xff\xfea", ": byte 0 (0xff) is not UTF-8"),
        (VALID.encode("utf-16"), ": byte 0 (0xff) is not UTF-8"),
        (b"ab\0", ": not valid YAML: character 2 is #x0000"),
        (b"[" * 10_000, ": not valid YAML: nested too deeply"),
        (b"{a: " * 10_000, ": not valid YAML: nested too deeply"),
        (b"#" * (MAX_BYTES + 1), ": larger than 65536 bytes, which is no parameter file"),
        (b'"\\ud800": 3', ": the file = '\\ud800': must be text in Unicode"),
        (b"&x [*x]", ": must hold sections of `name: value` lines, found [[[...]]]"),
        (b"a: !!bool maybe\n", ": not valid YAML: 'maybe'"),
        (b"a: !!int x\n", ": not valid YAML: invalid literal for int() with base 10: 'x'"),
        (b"a: !!timestamp x\n", ":1: not valid YAML: could not determine a constructor for the tag"),
        (b"a: " + b"9" * 5000, ": not valid YAML: Exceeds the limit (4300 digits)"),
    ],
)
def test_a_file_that_is_no_parameter_file_is_refused_in_one_line(reject: Reject, content: bytes, says: str) -> None:
    assert reject(content).startswith(says)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read: No such file or directory"):
        load_params(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_params(tmp_path)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/object/new:os.system", "!run"])
def test_nothing_that_a_tag_names_is_run(reject: Reject, tmp_path: Path, tag: str) -> None:
    ran = tmp_path / "ran"
    assert "could not determine a constructor" in reject(with_value("vocab.min_count", f"{tag} ['touch {ran}']"))
    assert not ran.exists()


def test_anchors_aliases_and_merges_are_read(tmp_path: Path) -> None:
    text = with_value("model.layers", "*two").replace("  min_count: 1", "  min_count: &two 2")
    assert load_text(tmp_path, text)["model.layers"] == 2
    merged = VALID.replace("  min_count: 1", "  <<: {min_count: 7}")
    assert load_text(tmp_path, merged)["vocab.min_count"] == 7


def test_a_mapping_that_holds_itself_is_shown_in_short(reject: Reject) -> None:
    text = VALID.replace("vocab:\n", "vocab: &v\n  self: *v\n")
    assert "vocab.self = {'max_size': None, 'min_count': 1, 'self': {" in reject(text)


def test_merges_of_merges_do_not_fill_the_memory(reject: Reject) -> None:
    names = [f"m{depth}" for depth in range(40)]
    lines = [f"{names[0]}: &{names[0]} {{a: 1}}"]
    for below, name in pairwise(names):
        lines.append(f"{name}: &{name} {{<<: [{', '.join(['*' + below] * 10)}]}}")
    assert "too many merged keys" in reject("\n".join(lines))


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("train.learning_rate", "1e-3 1E-3 .5e-2 1.e-2 +1e-3 2.5E+0 1. +.5 0.5 1_0.5e-1 1 0x1"),
        ("train.log_every", "10 +1 1_0 1_ 0x1F 0b11"),
        ("train.seed", "0 -0"),
        ("tracking.enabled", "true True TRUE false False FALSE"),
        ("data.mirror", "~ null Null NULL yes on y n 2001-12-15x 1:30 1e tRue"),
    ],
)
def test_a_value_is_what_dvc_takes_it_for(tmp_path: Path, key: str, values: str) -> None:
    for written in values.split():
        assert load_text(tmp_path, with_value(key, written))[key] == dvc_reads(written), written


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("train.log_every", "010 08 0o10 1:30 2001-12-15 0x"),
        ("train.learning_rate", "1:30.5 0.0_1 1e1_0 01 1e"),
        ("tracking.enabled", "yes no on off y n tRue"),
    ],
)
def test_what_yaml_1_1_reads_in_its_own_way_is_refused(reject: Reject, key: str, values: str) -> None:
    for written in values.split():
        assert f"{key} = '{written}': must be " in reject(with_value(key, written))


@pytest.mark.parametrize(("written", "value"), [("1e-3", 0.001), (".5e-2", 0.005), ("1", 1), ("1E+0", 1.0)])
def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path, written: str, value: float) -> None:
    assert load_text(tmp_path, with_value("train.learning_rate", written))["train.learning_rate"] == value


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    expected = load_params(CHECKOUT / "params.yaml").flat()
    assert load_text(tmp_path, "\ufeff" + VALID.replace("\n", "\r\n")) == expected


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(), st.binary(max_size=9)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4), max_leaves=8
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The valid file with a few values, keys, lines or bytes changed."""
    if draw(st.booleans()):
        tree: dict[Any, Any] = yaml.safe_load(VALID)
        for _ in range(draw(st.integers(1, 3))):
            section = draw(st.sampled_from(sorted(tree, key=str)))
            inside = tree[section] if isinstance(tree[section], dict) and draw(st.booleans()) else tree
            key = draw(st.sampled_from(sorted(inside, key=str)) | SCALARS) if inside else draw(SCALARS)
            inside[key] = draw(VALUES)
        return yaml.dump(tree, allow_unicode=draw(st.booleans())).encode("utf-8", "surrogatepass")
    content = VALID.encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        syntax = st.sampled_from(
            [b"&a ", b"*a", b"<<: ", b"!!", b"[", b"{", b"}", b"? ", b": ", b"\n", b"- ", b"'", b"|"]
        )
        content = content[:start] + draw(syntax | st.binary(max_size=4)) + content[end:]
    return content


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated())
def test_any_file_is_valid_or_refused_with_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    said = refusal(path)
    assert said is None or (said.startswith(str(path)) and len(said.splitlines()) == 1 and len(said) < 2000)
