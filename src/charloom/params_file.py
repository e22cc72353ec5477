"""The only reader of params.yaml. It reads strict YAML. Its errors name the key, the value and the remedy."""

from __future__ import annotations

import difflib
import re
import reprlib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from charloom.errors import InputError
from charloom.files import not_utf8
from charloom.params import Params
from charloom.secrets import without_secrets

MAX_MERGED = 1000  # keys that one mapping may get through YAML's merges (`<<`)
MAX_BYTES = 64 * 1024  # a parameter file is a page or two; a larger file is a mistake or an attack


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and validate a parameter file.

    Raises InputError. Its message is one line with the key, the value and what is allowed.
    """
    value = _read_yaml(Path(path))
    try:
        return Params.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error)}") from None


class _Loader(yaml.SafeLoader):
    """Reads YAML as DVC does: numbers and booleans as in YAML 1.2, plain types only, each key once in a mapping.

    Without this class, PyYAML reads YAML 1.1, in which 1e-3 is text, 010 is 8, 1:30 is 90 and `on` is true.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.composer.ComposerError(None, None, f"key {key.value!r} appears twice", key.start_mark)
            seen.add(key.value)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_MERGED:  # a dozen lines of nested merges would fill the memory
            raise yaml.constructor.ConstructorError(None, None, "too many merged keys", node.start_mark)


_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
}
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][\d_]*|0x[\da-fA-F]+|0b[01]+)", list("-+0123456789")),
    ("float", r"[-+]?(\d[\d_]*\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _read_yaml(path: Path) -> object:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; run this command in a checkout or project of charloom (`charloom new` makes one)"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: has more than {MAX_BYTES} bytes, too many for a parameter file")
    try:
        return yaml.load(content.decode("utf-8"), _Loader)  # noqa: S506 - a SafeLoader runs no code
    except UnicodeDecodeError as error:
        raise not_utf8(str(path), error) from None
    except RecursionError:
        raise InputError(f"{path}: not valid YAML: nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        where = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        raise InputError(f"{path}: not valid YAML: character {error.position} is #x{error.character:04x}") from None
    except (yaml.YAMLError, ValueError, OverflowError, KeyError) as error:  # a value that its !!tag does not allow
        raise InputError(f"{path}: not valid YAML: {error}") from None


# pydantic's messages use Python's words, such as "dictionary". These are the same messages in YAML's words.
_MUST_BE = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "string_unicode": "text in Unicode",
    "bool_type": "true or false",
    "list_type": "a list in brackets, such as [1, 2]",
    "string_too_short": "text of {min_length} character(s) or more",
    "string_too_long": "text of {max_length} characters or fewer",
    "too_short": "a list with {min_length} or more items",
    "too_long": "a list with {max_length} or fewer items",
}


def _first_problem(error: ValidationError) -> str:
    """One line about the first wrong key: its name, its value and what is allowed."""
    # Unknown keys come first. A misspelled key causes two errors: the wrong name is unknown, and the right name is
    # missing. The error for the unknown key helps more, because it suggests the right name.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] not in ("extra_forbidden", "invalid_key"))
    first = problems[0]
    key = _key(first)
    of_key = [problem for problem in problems if _key(problem) == key]  # a union gives an error for each of its types
    others = len({_key(problem) for problem in problems}) - 1
    return _message(first, key, of_key) + (f" (and {others} more wrong key{'s' * (others > 1)})" if others else "")


def _message(first: ErrorDetails, key: str, of_key: list[ErrorDetails]) -> str:
    shown = _shown(first["input"])
    match first["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key} = {shown}: unknown key; {_hint(first)}"
        case "invalid_key":
            return f"{key}: unknown key; {_hint(first)}"
        case "value_error":
            return str(first["ctx"]["error"])
        case "model_type" if not key:
            return f"must contain sections of `name: value` lines, found {shown}"
        case "model_type":
            return f"{key} = {shown}: must be a section of `name: value` lines"
    allowed = " or ".join(map(_must_be, of_key))
    return f"{key or 'the file'} = {shown}: must be {allowed}"


def _must_be(problem: ErrorDetails) -> str:
    if problem["type"] in _MUST_BE:
        return _MUST_BE[problem["type"]].format_map(problem.get("ctx", {}))
    return problem["msg"].removeprefix("Input should be ")


def _key(problem: ErrorDetails) -> str:
    """`section.name`, with [index] for an item of a list. The parts that pydantic adds for a union are left out."""
    location = problem["loc"]
    if problem["type"] == "invalid_key":  # for the key True, pydantic's location contains 1
        location = (*location[:-1], problem["input"])
    name = ".".join(part if isinstance(part, str) and part.isidentifier() else _shown(part) for part in location[:2])
    return name + "".join(f"[{part}]" for part in location[2:3] if isinstance(part, int))


class _Short(reprlib.Repr):
    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(without_secrets(x), level)  # before it is cut, because half a password is a secret too


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    short = _Short()
    short.maxstring = short.maxother = 60
    short.maxlevel = 2
    return short.repr(value)


def _hint(problem: ErrorDetails) -> str:
    section, name = problem["loc"][0], problem["loc"][-1]
    model = Params.model_fields[str(section)].annotation if len(problem["loc"]) > 1 else Params
    known = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
