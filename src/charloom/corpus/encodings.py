"""Recognises what a file is by its first bytes, if it is not UTF-8 text, and says what the user can do.

`recognise` knows files that are not text (archives, documents, tables, pointers to other files) and text in UTF-16 and
UTF-32. `likely_encoding` guesses the older encodings, such as Windows-1252, from the letters that are frequent in them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from charloom.errors import InputError
from charloom.files import not_utf8

HEAD_BYTES = 4096  # of the beginning of a file: enough to recognise it
SAMPLE_BYTES = 2048  # before and after a wrong byte: enough to guess an encoding
FEW = 3  # up to so many wrong bytes are few in a text of any length


class Recognised(NamedTuple):
    """What a file is, and what makes it readable. Both complete a sentence: `this is {what}; {remedy}`."""

    what: str
    remedy: str


def _compressed(compression: str, ending: str = "", program: str = "") -> Recognised:
    rename = f"rename the file so that its name ends in {ending}, or " * bool(ending)
    return Recognised(f"compressed ({compression})", f"{rename}unpack it: `{program or compression} -dc < OLD > NEW`")


def _converted(encoding: str, mark: str = "") -> Recognised:
    return Recognised(f"text in {encoding}{mark}, not in UTF-8", f"convert it: {_iconv(encoding)}")


def _iconv(encoding: str) -> str:
    return f"`iconv -f {encoding} -t UTF-8 OLD > NEW`"


_SAVE = "save the document as plain text in UTF-8 (.txt), or a table as .csv"
# Regular expressions for the first bytes of files that are not UTF-8 text. The first that matches counts.
_SIGNATURES: Mapping[bytes, Recognised] = {
    rb"\x1f\x8b": _compressed("gzip", ".gz"),
    rb"BZh[1-9](1AY&SY|\x17rE8P\x90)": _compressed("bz2", ".bz2", "bzip2"),
    rb"\xfd7zXZ\0": _compressed("xz", ".xz"),
    rb"\x28\xb5\x2f\xfd": _compressed("zstd"),
    rb"\x04\x22\x4d\x18": _compressed("lz4"),
    rb"\x1f\x9d": Recognised("compressed (compress, .Z)", "unpack it: `gzip -dc < OLD > NEW`"),
    rb"PK\x03\x04.{26}(\[Content_Types\]|_rels/|mimetype)": Recognised("a document of an office program", _SAVE),
    rb"PK(\x03\x04|\x05\x06)": Recognised("a ZIP archive", "unpack it: `unzip OLD`"),
    rb"7z\xbc\xaf\x27\x1c": Recognised("a 7z archive", "unpack it: `7z x OLD`"),
    rb"Rar!\x1a\x07": Recognised("a RAR archive", "unpack it: `unrar x OLD`"),
    rb".{257}ustar( |\0)( |0)": Recognised("a tar archive", "unpack it: `tar -xf OLD`"),
    rb"%PDF-": Recognised("a PDF document", "get its text: `pdftotext OLD NEW.txt`"),
    rb"\{\\rtf": Recognised("an RTF document", _SAVE),
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": Recognised("a document of an old office program (.doc, .xls)", _SAVE),
    rb"SQLite format 3\0": Recognised(
        "a SQLite database", "write a table to CSV: `sqlite3 -csv -header OLD 'SELECT * FROM TABLE' > NEW.csv`"
    ),
    rb"PAR1[^ -~\s]": Recognised("a Parquet table", "rename the file so that its name ends in .parquet"),
    rb"ARROW1\0\0": Recognised("an Arrow table", "save it as .parquet"),
    rb"\x80[\x02-\x05][\x95\]}c(]": Recognised(
        "a file of pickled Python objects", "save its content as .jsonl or .parquet"
    ),
    rb"version https://git-lfs\.github\.com/": Recognised(
        "the pointer of git-lfs to a file, not the file", "fetch the file: `git lfs pull`"
    ),
    rb"(\.\./)*(\.git)?/annex/objects/": Recognised(
        "the pointer of git-annex to a file, not the file", "fetch the file: `git annex get OLD`"
    ),
    # This mark begins with the bytes of UTF-16's mark, so it comes first.
    re.escape(codecs.BOM_UTF32_LE): _converted("UTF-32", " with a byte order mark"),
    re.escape(codecs.BOM_UTF32_BE): _converted("UTF-32", " with a byte order mark"),
    re.escape(codecs.BOM_UTF16_LE): _converted("UTF-16", " with a byte order mark"),
    re.escape(codecs.BOM_UTF16_BE): _converted("UTF-16", " with a byte order mark"),
}
_WIDE = ("UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE")
_WESTERN = "[a-z][àáâãäåæçèéêëìíîïñòóôõöøùúûüß]|[a-z]’[a-z]|“[A-Za-z]| [–—] |[£€] ?[0-9]|[0-9] ?€"
_CENTRAL = "[a-z][áäéëíóôöúüýąćčďęěłńňőřśšťůűźżž]"
_CYRILLIC = "[а-я][оеаинтсрвл]"
# For each older encoding, a pattern of what is frequent in its texts. Both iconv and Python know the names.
_FREQUENT: Mapping[str, str] = {
    "WINDOWS-1252": _WESTERN,  # contains Latin-1
    "MACINTOSH": _WESTERN,
    "CP850": _WESTERN,
    "WINDOWS-1250": _CENTRAL,
    "ISO-8859-2": _CENTRAL,
    "WINDOWS-1254": "[a-z][âçğıîöşû]",
    "WINDOWS-1251": _CYRILLIC,
    "KOI8-R": _CYRILLIC,
    "ISO-8859-5": _CYRILLIC,
    "IBM866": _CYRILLIC,
    "WINDOWS-1253": "[α-ω][αοιετσνςάέήίόύώ]",
    "WINDOWS-1255": "[א-ת][יוהלאמרתשנב]",
    "WINDOWS-1256": "[ء-ي][اليمون]",
    "CP874": "[ก-ฮ][าเนรอมกงี]",
    "CP932": "[ぁ-ん]{2}",  # contains Shift JIS
    "EUC-JP": "[ぁ-ん]{2}",
    "GB18030": "[的一是不了在有人这中大国]",
    "BIG5": "[的一是不了在有人這中大國]",
    "CP949": "[가-힣][이다는에의가을은]",  # contains EUC-KR
    "IBM037": "[a-z][etaoinsr]",
}


def recognise(head: bytes) -> Recognised | None:
    """What a file is, from its first bytes (HEAD_BYTES are enough). None: it may be UTF-8, or an older encoding.

    No parameter of charloom makes a recognised file readable as it is. `data.errors: replace` does not either.
    """
    for signature, recognised in _SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            return recognised
    zeros = head.count(0)
    few = 4 * zeros <= len(head)  # in UTF-16, half of the bytes of an English text are zeros
    if not zeros or (few and _is_text(_decoded(head.replace(b"\0", b""), "UTF-8"))):
        return None
    wide = max(_WIDE, key=partial(_ascii_characters, head))
    if _ascii_characters(head, wide):
        return _converted(wide)
    if _decoded(head, "UTF-8") is None:
        return Recognised("binary data, not text", "name a file of text in UTF-8")
    return None


def likely_encoding(sample: bytes) -> str | None:
    """Guess the older encoding of a text that is not UTF-8. Returns a name that iconv and Python know.

    The guess is the encoding that turns the bytes into the most frequent letters of its languages. None: no encoding
    gives any.
    """
    found = {encoding: _frequent(sample, encoding) for encoding in _FREQUENT}
    best = max(found, key=found.__getitem__)
    return best if found[best] else None


def check_head(head: bytes, name: str) -> None:
    """Raise InputError if the first bytes of a file show that it is not UTF-8 text. `name` is the file's name."""
    if recognised := recognise(head):
        raise InputError(f"{name}: this is {recognised.what}; {recognised.remedy}")


def wrong_byte(
    place: str, error: UnicodeDecodeError, offset: int = 0, *, utf8_before: bool = False, option: str = ""
) -> InputError:
    """The error for a byte that is not UTF-8, with the remedy that fits the text around the byte.

    `place` and `offset` are those of `not_utf8`. `utf8_before` says whether the text before the decoded piece has
    characters beyond ASCII. `option` is the parameter that replaces such bytes, if there is one. The error recommends
    the parameter only for a few wrong bytes.
    """
    sample = error.object[max(0, error.start - SAMPLE_BYTES) : error.start + SAMPLE_BYTES]
    lines_before = error.object[: error.object.rfind(b"\n", 0, error.start) + 1]
    utf8_before = utf8_before or not lines_before.isascii()
    return not_utf8(place, error, offset, _remedy(sample, utf8_before, f", or set {option}" if option else ""))


def _remedy(sample: bytes, utf8_before: bool, or_replace: str) -> str:
    text = sample.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    few = wrong <= max(FEW, len(text) // 100)
    right = sum(not char.isascii() for char in text) - wrong
    if utf8_before or right > wrong:
        return f"the text around it is UTF-8; correct this byte{or_replace}"
    if encoding := likely_encoding(sample):
        return f"the text is probably in {encoding}; convert it: {_iconv(encoding)}"
    return f"convert the text to UTF-8{or_replace * few}"


def _frequent(sample: bytes, encoding: str) -> int:
    """How many frequent letters of an encoding a sample has. 0 if the sample is not text in this encoding."""
    text = _decoded(sample, encoding)
    return len(re.findall(_FREQUENT[encoding], text)) if text is not None and _is_text(text) else 0


def _ascii_characters(head: bytes, encoding: str) -> int:
    """How many ASCII characters, such as spaces, a head has in an encoding. 0 if the head is not text in it."""
    text = _decoded(head, encoding)
    return sum(map(str.isascii, text)) if text is not None and _is_text(text) else 0


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text of the data, without an incomplete character at its end. None if the data has another encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None


def _is_text(text: str | None) -> bool:
    """Whether a text consists of printable characters and white space."""
    return text is not None and all(char.isprintable() or char.isspace() for char in text)
