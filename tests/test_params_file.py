"""params.yaml is read as DVC reads it. Any other content is rejected with an error of one line."""

from __future__ import annotations

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
from tests.param_files import VALID, load_text, message_of, reject, with_value

VOCAB = VALID.partition("\nvocab:")[2].partition("\n\nwindows:")[0]  # the section's lines


def dvc_reads(text: str) -> Any:
    return YAML(typ="safe").load(text)  # as dvc.utils.serialize does


def test_the_checked_in_file_loads_with_the_values_that_dvc_reads() -> None:
    path = CHECKOUT / "params.yaml"
    sections = dvc_reads(VALID)
    dvc = {f"{section}.{name}": value for section, values in sections.items() for name, value in values.items()}
    assert load_params(path).flat() == dvc


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
        ("  layers: 1", "  layers: 1\n  layers: 2", "key 'layers' appears twice"),
        ("vocab:\n", "vocab: {}\nvocab:\n", "key 'vocab' appears twice"),
        (VOCAB, "", "vocab = null: must be a section of `name: value` lines"),
        (VOCAB, "\n  - 1", "vocab = [1]: must be a section of `name: value` lines"),
    ],
)
def test_an_unknown_or_missing_key_is_reported_with_a_hint(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert VALID.count(old) == 1
    assert says in reject(tmp_path, VALID.replace(old, new))


def test_a_missing_section_is_reported(tmp_path: Path) -> None:
    head, _, rest = VALID.partition("\nvocab:")
    assert reject(tmp_path, head + rest[rest.index("\nwindows:") :]) == ": vocab is missing"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ": must contain sections of `name: value` lines, found null"),
        (b"# a remark\n", ": must contain sections of `name: value` lines, found null"),
        (b"- a\n- b\n", ": must contain sections of `name: value` lines, found ['a', 'b']"),
        (b"a: 1\nb: c: d\n", ":2: not valid YAML: mapping values are not allowed here"),
        (b"a: 1\n---\nb: 2\n", ":2: not valid YAML: but found another document"),
        (b"a: *b\n", ":1: not valid YAML: found undefined alias 'b'"),
        (b'a: "b', ":1: not valid YAML: found unexpected end of stream"),
        (b"\xff\xfea", ": byte 0 (0xff) is not UTF-8; convert the text to UTF-8"),
        (VALID.encode("utf-16"), ": byte 0 (0xff) is not UTF-8; convert the text to UTF-8"),
        (b"ab\0", ": not valid YAML: character 2 is #x0000"),
        (b"[" * 10_000, ": not valid YAML: nested too deeply"),
        (b"{a: " * 10_000, ": not valid YAML: nested too deeply"),
        (b"#" * (MAX_BYTES + 1), ": has more than 65536 bytes, too many for a parameter file"),
        (b'"\\ud800": 3', ": the file = '\\ud800': must be text in Unicode"),
        (b"&x [*x]", ": must contain sections of `name: value` lines, found [[[...]]]"),
        (b"a: !!bool maybe\n", ": not valid YAML: 'maybe'"),
        (b"a: !!int x\n", ": not valid YAML: invalid literal for int() with base 10: 'x'"),
        (b"a: !!timestamp x\n", ":1: not valid YAML: could not determine a constructor for the tag"),
        (b"a: " + b"9" * 5000, ": not valid YAML: Exceeds the limit (4300 digits)"),
    ],
)
def test_content_that_is_not_a_parameter_file_is_rejected_in_one_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    assert reject(tmp_path, content).startswith(says)


def test_a_missing_file_and_a_folder_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"none\.yaml: no such file; run this command in a checkout or project of charloom"
    ):
        load_params(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_params(tmp_path)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/object/new:os.system", "!run"])
def test_a_yaml_tag_runs_no_code(tmp_path: Path, tag: str) -> None:
    ran = tmp_path / "ran"
    assert "could not determine a constructor" in reject(
        tmp_path, with_value("vocab.min_count", f"{tag} ['touch {ran}']")
    )
    assert not ran.exists()


def test_anchors_aliases_and_merges_are_read(tmp_path: Path) -> None:
    text = with_value("model.layers", "*two").replace("  min_count: 1", "  min_count: &two 2")
    assert load_text(tmp_path, text)["model.layers"] == 2
    merged = VALID.replace("  min_count: 1", "  <<: {min_count: 7}")
    assert load_text(tmp_path, merged)["vocab.min_count"] == 7


def test_a_mapping_that_contains_itself_is_abbreviated(tmp_path: Path) -> None:
    text = VALID.replace("vocab:\n", "vocab: &v\n  self: *v\n")
    assert "vocab.self = {'max_size': None, 'min_count': 1, 'self': {" in reject(tmp_path, text)


def test_nested_merges_do_not_fill_the_memory(tmp_path: Path) -> None:
    names = [f"m{depth}" for depth in range(40)]
    lines = [f"{names[0]}: &{names[0]} {{a: 1}}"]
    for below, name in pairwise(names):
        lines.append(f"{name}: &{name} {{<<: [{', '.join(['*' + below] * 10)}]}}")
    assert "too many merged keys" in reject(tmp_path, "\n".join(lines))


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
def test_a_value_is_read_as_dvc_reads_it(tmp_path: Path, key: str, values: str) -> None:
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
def test_values_that_only_yaml_1_1_converts_are_rejected(tmp_path: Path, key: str, values: str) -> None:
    for written in values.split():
        assert f"{key} = '{written}': must be " in reject(tmp_path, with_value(key, written))


@pytest.mark.parametrize(("written", "value"), [("1e-3", 0.001), (".5e-2", 0.005), ("1", 1), ("1E+0", 1.0)])
def test_scientific_notation_gives_numbers(tmp_path: Path, written: str, value: float) -> None:
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
def test_any_file_is_valid_or_rejected_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    message = message_of(path)
    assert message is None or (message.startswith(str(path)) and len(message.splitlines()) == 1 and len(message) < 2000)
