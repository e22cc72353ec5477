"""Small made files of the kinds of text that corpora/README.md lists, 60 articles of each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

ARTICLES = 60
WORDS = [
    "river",
    "stone",
    "light",
    "morning",
    "night",
    "window",
    "garden",
    "letter",
    "paper",
    "summer",
    "road",
    "bread",
]
RANDOM = Random(1)


def words(count: int) -> str:
    return " ".join(RANDOM.choices(WORDS, k=count))


def sentence() -> str:
    return words(RANDOM.randint(6, 12)).capitalize() + "."


def letters(alphabet: Sequence[str], count: int) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


def articles(make: Callable[[int], str], end: str = "") -> str:
    return "".join(make(number) + end for number in range(ARTICLES))


def lines(count: int) -> str:
    return "".join(sentence() + "\n" for _ in range(count))


def table(header: list[str], row: Callable[[int], list[object]], delimiter: str = ",") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([*([header] if header else []), *map(row, range(ARTICLES))])
    return file.getvalue()


def moves() -> str:
    return "\n".join(f"{number}. {letters('NBRQK', 1)}f{number % 8 + 1} e5" for number in range(1, 20)) + " 1-0\n"


def code(number: int) -> str:
    body = f"    for index in range({number}):\n\n        yield index\n\n    return {words(1)}"
    return f"def {words(1)}_{number}(first: int) -> int:\n{body * 6}\n"


CHINESE = "的一是不了在有人这中大国我他们来到时要以会可你"
MARKUP = '<li>\n  <a href="{}">{}</a>\n</li>\n'

# By the name of the file that the README's command or the user has: its content. A folder has several files.
FILES: dict[str, Callable[[], str | bytes]] = {
    "poems.txt": lambda: articles(lambda _: lines(4), "\n"),
    "lyrics.txt": lambda: articles(lambda number: f"[Verse {number}]\n{lines(4)}", "\n"),
    "play.txt": lambda: articles(lambda _: f"FIRST CITIZEN:\n{lines(2)}", "\n"),
    "book.txt": lambda: "\ufeff" + articles(lambda _: lines(5).replace("\n", "\r\n"), "\r\n"),
    "notes.txt": lambda: articles(
        lambda number: f"- **{words(1)}**: {sentence()} See [{number}](a/{number}.md)\n", "\n"
    ),
    "thesis.txt": lambda: articles(
        lambda number: f"\\section{{{words(2)}}}\n{lines(3)}$x_{{{number}}}^2$ % why\n", "\n"
    ),
    "tunes.txt": lambda: articles(lambda n: f"X:{n}\nT:{words(2)}\nK:G\n|:{letters('ABcd2/', 40)}:|\n", "\n"),
    "film.txt": lambda: articles(
        lambda n: f"{n}\r\n00:00:{n:02},000 --> 00:00:{n:02},900\r\n<i>{words(3)}</i>\r\n", "\r\n"
    ),
    "names.txt": lambda: articles(lambda number: f"{words(1).capitalize()}{letters('aeiou', 3)}{number}", "\n"),
    "dictionary.txt": lambda: articles(lambda number: f"{words(1)}{number} n. {words(5)}", "\n"),
    "chat.txt": lambda: articles(lambda n: f"06/09/2023, 09:{n:02} - 李雷: {words(4)} 👨‍👩‍👧👍🏽🇩🇪", "\n"),
    "access.txt": lambda: articles(lambda n: f'10.0.0.{n} - - [01/Nov/2025:10:11:56] "GET /{words(1)}" 200', "\n"),
    "molecules.txt": lambda: articles(lambda number: letters(["C", "N", "c1ccccc1", "(=O)"], 9) + "C" * number, "\n"),
    "chinese.txt": lambda: articles(lambda _: f"　　{letters(CHINESE, 60)}。", "\n"),
    "code.txt": lambda: articles(code, "\n"),
    "page.txt": lambda: articles(lambda number: MARKUP.format(number, words(3)) * 40),
    "text8.txt": lambda: words(20_000),
    "news.csv": lambda: table(
        ["title", "body", "topic"], lambda number: [words(3), f"{sentence()}\n{sentence()}", WORDS[number % 3]]
    ),
    "tweets.csv": lambda: table([], lambda number: [number % 2, 1467810369 + number, f"@{words(1)} {sentence()}"]),
    "reviews.jsonl": lambda: articles(lambda n: json.dumps({"review": sentence(), "stars": n % 5 + 1}), "\n"),
    "games.pgn": lambda: articles(lambda number: f'[Event "Blitz"]\n[Round "{number}"]\n\n{moves()}', "\n"),
    "genes.fasta": lambda: articles(lambda n: f">seq{n} chromosome 7\n" + f"{letters('ACGT', 60)}\n" * 5),
    "mail.mbox": lambda: articles(lambda n: f"From a@b.org Thu\nSubject: {words(2)} {n}\n\n{lines(2)}\n{lines(2)}\n"),
    "stories.old": lambda: articles(lambda _: f"{lines(2)}\n{lines(3)}", "<|endoftext|>\n"),
    "recipes.old": lambda: articles(lambda n: f"{words(2)}\n\n- {n} g {words(1)}\n\n{lines(2)}", "-----\n"),
    "letters.old": lambda: articles(lambda _: f"Café “{words(3)}” – {lines(3)}", "\n").encode("cp1252"),
    "news.old": lambda: table(["text", "label"], lambda n: [sentence(), n % 2], delimiter=";"),
    "sms.old": lambda: articles(lambda n: ("ham\t", 'spam\t"')[n % 2] + sentence(), "\n"),
    "array.json": lambda: json.dumps([{"text": sentence(), "label": n % 2} for n in range(ARTICLES)], indent=1),
    "chats.json": lambda: articles(
        lambda _: json.dumps({"messages": [{"role": "user", "content": sentence()} for _ in range(2)]}), "\n"
    ),
}


def make(name: str, folder: Path) -> None:
    """Make the file `name`. `mails` is a folder with a file for each article."""
    RANDOM.seed(name)
    if name == "mails":
        for number in range(ARTICLES):
            path = folder / name / f"{number}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"Subject: {words(2)}\n\n{lines(2)}\n{lines(2)}")
    else:
        content = FILES[name]()
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
