"""Text from outside, made safe to show in a terminal or on a page."""

from __future__ import annotations

import re

# - Control characters (Unicode's Cc, except newline and tab) move the cursor, set the window's title or make the
#   terminal send an answer.
# - Surrogates (Cs, U+D800 to U+DFFF) cannot be printed.
# - U+2028 and U+2029 end a line in some programs.
# - U+202A to U+202E and U+2066 to U+2069 change the direction of text, so that a reader sees the characters in another
#   order than the one in which they are stored.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """The text with control characters, direction marks and lone surrogates escaped. Newline and tab stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def on_one_line(text: str) -> str:
    """The harmless text on one line. A newline is shown as ↵, and a tab as ⇥."""
    return harmless(text).replace("\n", "↵").replace("\t", "⇥")
