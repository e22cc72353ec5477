"""Files that are not UTF-8 text are recognised by their first bytes, older encodings by their frequent letters."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import shutil
import sqlite3
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from charloom.corpus.encodings import HEAD_BYTES, check_head, likely_encoding, recognise, wrong_byte
from charloom.errors import InputError

TEXTS = {
    "WINDOWS-1252": "L'été, la forêt brûle à côté du château. “Schön”, sagt Müller, und geht über die Brücke.",
    "MACINTOSH": "L'été, la forêt brûle à côté du château. El niño sueña.",
    "CP850": "Schöne Grüße aus München, über die Brücke",
    "WINDOWS-1250": "Zażółć gęślą jaźń, wieści z kraju są dobre. Příliš žluťoučký kůň",
    "ISO-8859-2": "Zażółć gęślą jaźń, mąż już śpi, są wieści",
    "WINDOWS-1254": "Türkiye'de yağış başladı, çok güzel şehir ışıkları",
    "WINDOWS-1251": "Новости дня: президент прибыл в город вечером",
    "KOI8-R": "Новости дня: президент прибыл в город вечером",
    "ISO-8859-5": "Новости дня: президент прибыл в город вечером",
    "CP874": "สวัสดีครับ วันนี้อากาศดีมาก เราไปตลาดกัน",
    "IBM866": "Новости дня: президент прибыл в город вечером",
    "WINDOWS-1253": "Τα νέα της ημέρας από την Αθήνα είναι καλά",
    "WINDOWS-1255": "החדשות של היום מירושלים",
    "WINDOWS-1256": "أخبار اليوم من القاهرة والمدينة",
    "CP932": "今日のニュースは東京からです。とても面白いものでした。",
    "EUC-JP": "今日のニュースは東京からです。とても面白いものでした。",
    "GB18030": "今天的新闻是中国在北京举行的一个大会，有人说不了",
    "BIG5": "今天的新聞是中國在北京舉行的一個大會，有人說不了",
    "CP949": "오늘의 뉴스는 서울에서 시작되었다. 사람들이 많다",
    "IBM037": "the news of today is that rain continues in the north",
}
STARTS = ["BZh9 is text", "PK", "PAR1 is text", "\ufeffa", "<html>", " " * 256 + "mustard"]  # of texts
WIDE = ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"]


def zipped(**members: str) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


def tar() -> bytes:
    with tarfile.open(fileobj=(file := io.BytesIO()), mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return file.getvalue()


def database(folder: Path) -> bytes:
    with sqlite3.connect(folder / "a.db") as connection:
        connection.execute("create table a (b)")
    return (folder / "a.db").read_bytes()


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (gzip.compress(b"a", mtime=0), "compressed (gzip)", "ends in .gz, or unpack it: `gzip -dc < OLD > NEW`"),
        (bz2.compress(b"a"), "compressed (bz2)", "ends in .bz2, or"),
        (bz2.compress(b""), "compressed (bz2)", "ends in .bz2, or"),
        (lzma.compress(b"a"), "compressed (xz)", "ends in .xz, or"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed (zstd)", "unpack it: `zstd -dc < OLD > NEW`"),
        (zipped(a="text"), "a ZIP archive", "`unzip OLD`"),
        (zipped(), "a ZIP archive", "`unzip OLD`"),
        (zipped(**{"[Content_Types].xml": "<a/>"}), "a document of an office program", "as plain text"),
        (tar(), "a tar archive", "`tar -xf OLD`"),
        (b"%PDF-1.7\n", "a PDF document", "`pdftotext OLD NEW.txt`"),
        (b"{\\rtf1\\ansi", "an RTF document", "as plain text"),
        (b"PAR1\x15\x04", "a Parquet table", "ends in .parquet"),
        (pickle.dumps(["a"]), "a file of pickled Python objects", ".jsonl"),
        (pickle.dumps({"a": 1}, protocol=2), "a file of pickled Python objects", ".jsonl"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n", "git-lfs", "`git lfs pull`"),
        (b"../.git/annex/objects/a/b/c", "git-annex", "`git annex get OLD`"),
        (b"/annex/objects/SHA256E-s3--a.txt\n", "git-annex", "`git annex get OLD`"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary data, not text", "name a file of text"),
    ],
)
def test_a_file_is_recognised_by_its_first_bytes(content: bytes, what: str, remedy: str) -> None:
    found = recognise(content)
    assert found is not None
    assert what in found.what
    assert remedy in found.remedy


def test_a_database_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^a\.txt: this is a SQLite database; write a table to CSV: `sqlite3 -csv"):
        check_head(database(tmp_path), "a.txt")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("encoding", [*WIDE, "UTF-16", "UTF-32"])
def test_wide_text_is_recognised_with_and_without_a_byte_order_mark(text: str, encoding: str) -> None:
    named = f"text in {encoding}" + " with a byte order mark" * (encoding not in WIDE) + ", not in UTF-8"
    for content in ((text + "\n").encode(encoding), (f"{text} " * 200).encode(encoding)[: HEAD_BYTES - 1]):
        found = recognise(content)
        assert found == (named, f"convert it: `iconv -f {encoding} -t UTF-8 OLD > NEW`")


@pytest.mark.parametrize("text", ["", "a", "aaaa\0b", "a" * 20 + "\0", *TEXTS.values(), *STARTS])
def test_utf_8_is_not_recognised_as_something_else(text: str) -> None:
    assert recognise(text.encode()) is None
    assert recognise((text * 1000).encode()[:HEAD_BYTES]) is None
    check_head(text.encode(), "a.txt")


@pytest.mark.parametrize("encoding", TEXTS)
def test_an_older_encoding_is_guessed_and_iconv_knows_its_name(encoding: str) -> None:
    content = TEXTS[encoding].encode(encoding)
    assert recognise(content) is None
    assert likely_encoding(content) == encoding
    if iconv := shutil.which("iconv"):
        ran = subprocess.run([iconv, "-f", encoding, "-t", "UTF-8"], input=content, capture_output=True, check=True)
        assert ran.stdout.decode() == TEXTS[encoding]


@pytest.mark.parametrize("text", ["pay £5", "5 € or €5", "a – b", "don’t", "“a”", "café"])
def test_one_character_is_enough_for_windows_1252(text: str) -> None:
    assert likely_encoding(text.encode("cp1252")) == "WINDOWS-1252"


@pytest.mark.parametrize("content", [b"a\xff", b"\x81\x82\x83", b"plain"])
def test_no_encoding_is_guessed_without_letters_that_speak_for_it(content: bytes) -> None:
    assert likely_encoding(content) is None


@pytest.mark.parametrize(
    ("content", "utf8_before", "remedy", "replace"),
    [
        (
            b"caf\xe9",
            False,
            "the text is probably in WINDOWS-1252; convert it: `iconv -f WINDOWS-1252 -t UTF-8 OLD >",
            False,
        ),
        (b"caf\xe9", True, "the text around it is UTF-8; correct this byte, or set data.errors: replace", True),
        ("caf\u00e9 na\u00efve".encode() + b" caf\xe9", False, "the text around it is UTF-8; correct", True),
        (
            b"%b\n" % "caf\u00e9".encode() + b"un caf\xe9, une for\xeat" * 3,
            False,
            "the text around it is UTF-8; cor",
            True,
        ),
        (b"a\xff", False, "convert the text to UTF-8, or set data.errors: replace", True),
        (b"\x81\x9d" * 9, False, "convert the text to UTF-8", False),
    ],
)
def test_replacing_is_recommended_only_for_a_few_wrong_bytes(
    content: bytes, utf8_before: bool, remedy: str, replace: bool
) -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        content.decode()
    message = str(wrong_byte("a.txt:1", caught.value, utf8_before=utf8_before, option="data.errors: replace"))
    said = message.partition("is not UTF-8; ")[2]
    assert said.startswith(remedy)
    assert said.endswith(", or set data.errors: replace") == replace
