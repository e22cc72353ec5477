"""Says why a corpus has too few articles to be split, and which parameter or step gives more articles."""

from __future__ import annotations

from dataclasses import dataclass, field

from charloom.corpus.digests import text_digest

ENOUGH = 10  # different texts: with so many, copies are not the reason for a missing split
# Characters that divide some texts. In charloom they end neither a line nor an article.
SEPARATORS = {"\f": "form feed", "\v": "vertical tab", "\x85": "U+0085", "\u2028": "U+2028", "\u2029": "U+2029"}
CUT = 1000  # characters: the longest articles into which a text without separators is cut
MANY = 100  # articles that the advice aims at: with the default test_fraction, each split then gets some


def cut_length(characters: int) -> int:
    """The data.article_end that cuts a text of so many characters into MANY articles, if it is long enough."""
    return min(CUT, max(10, characters // MANY // 10 * 10))


def cut_advice(characters: int) -> str:
    """The advice to cut a text into articles of this length."""
    return f"set data.article_end: {characters} to cut the text into articles of at most so many characters"


@dataclass
class Census:
    """The number and the lengths of the articles of a corpus, and whether they are different."""

    articles: int = 0
    shortest: int = 0  # in characters
    longest: str = ""  # the text of the longest article
    different: set[int] = field(default_factory=set)  # digests of different texts, ENOUGH at most

    def note(self, text: str) -> None:
        """Count an article."""
        self.articles += 1
        self.shortest = min(self.shortest, len(text)) if self.articles > 1 else len(text)
        if len(text) > len(self.longest):
            self.longest = text
        if len(self.different) < ENOUGH:
            self.different.add(text_digest(text))

    def explain(self, why: str, article_end: str | int | None) -> str:
        """A message: what was found, `why` it is too little, and what helps.

        `article_end` is the data.article_end that decides where these articles end, or None for rows of a table.
        """
        if len(self.different) < min(self.articles, ENOUGH):
            texts = "one text" if len(self.different) == 1 else f"{len(self.different)} different texts"
            return (
                f"the corpus has {self.articles:,} articles, but only {texts}, and copies are always in the same split:"
                f" {why}; add other articles"
            )
        found = f"1 article of {len(self.longest):,} characters"
        if self.articles > 1:
            found = f"{self.articles:,} articles of {self.shortest:,} to {len(self.longest):,} characters"
        return f"the corpus has {found}, too few to split: {why}; {self._advice(article_end)}"

    def _advice(self, article_end: str | int | None) -> str:
        text = self.longest
        helps = []
        if article_end == "blank_line" and "\n" in text:
            helps.append(f"set data.article_end: line, if each of the {text.count(chr(10)) + 1:,} lines is an article")
        if (separator := max(SEPARATORS, key=text.count)) in text:
            code = "".join(f"\\x{byte:02X}" for byte in separator.encode())
            helps.append(
                f"turn the separators ({SEPARATORS[separator]}, {text.count(separator):,} times) into blank lines:"
                rf" `sed 's/{code}/\n\n/g' OLD > NEW`"
            )
        if len(text) >= 10 * MANY:
            helps.append(cut_advice(cut_length(len(text))))
        can_split = self.articles > 1 and not helps
        return ", or ".join([*helps, "add articles" + " or change the fraction" * can_split])
