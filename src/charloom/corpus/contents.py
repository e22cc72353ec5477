"""Says what a file seems to be by its content, if the ending of its name does not state a format."""

from __future__ import annotations

import csv
import json
import re
from contextlib import suppress

from charloom.corpus.encodings import Recognised, recognise

_TO_JSONL = "import json, sys; [print(json.dumps(each)) for each in json.load(sys.stdin)]"
JSON_ARRAY = Recognised("a JSON array, not JSON lines", f"convert it: `python -c '{_TO_JSONL}' < OLD > NEW.jsonl`")
_JSON_OBJECT = Recognised("one JSON object", "save its articles as JSON lines, an object for each article (.jsonl)")


def seems_to_be(head: bytes, packed: str = "") -> Recognised:
    """What a file is by its first bytes (encodings.HEAD_BYTES are enough), and how charloom can read the file.

    If the file is compressed, `packed` is the last ending of its name, and `head` is from the unpacked content.
    """
    if recognised := recognise(head):
        return recognised
    text = head.decode("utf-8-sig", "replace").lstrip()
    if re.match(r'\[\s*([\[{"]|-?[\d.]+\s*,)', text):
        return JSON_ARRAY
    if text.startswith("{") and '"' in text:
        return _renamed("JSON lines", ".jsonl" + packed) if _is_object(text.partition("\n")[0]) else _JSON_OBJECT
    if re.match(r"<[!?a-zA-Z]", text):
        to_txt = _renamed("HTML or XML", ".txt" + packed)
        return to_txt._replace(remedy=f"save its text as plain text in UTF-8, or to learn the markup, {to_txt.remedy}")
    for what, ending, delimiter in (("a table with tabs", ".tsv", "\t"), ("a table with commas", ".csv", ",")):
        if _is_table(text, delimiter):
            return _renamed(what, ending + packed)
    return _renamed("plain text", ".txt" + packed)


def _renamed(what: str, ending: str) -> Recognised:
    return Recognised(what, f"rename the file so that its name ends in {ending}")


def _is_object(line: str) -> bool:
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(line), dict)
    return False


def _is_table(text: str, delimiter: str) -> bool:
    """Whether all lines have the same number of columns, two or more. The last of many lines may be incomplete."""
    lines = text.splitlines()
    with suppress(csv.Error):
        widths = {len(row) for row in csv.reader(lines[:-1] if len(lines) > 2 else lines, delimiter=delimiter) if row}
        return len(lines) > 1 and len(widths) == 1 and min(widths) > 1
    return False
