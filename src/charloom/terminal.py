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


def in_bytes(count: float) -> str:
    """A number of bytes for people, such as `20.8 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def in_time(seconds: float) -> str:
    """A duration for people, in its largest unit, such as `14 s`, `3.5 min`, `8.0 h` or `3.0 days`."""
    for unit, length, upto in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 172_800)):
        if seconds < upto:
            return f"{seconds / length:.{0 if unit == 's' else 1}f} {unit}"
    return f"{seconds / 86_400:.1f} days"
