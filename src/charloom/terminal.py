"""What a terminal may be shown, or a page."""

from __future__ import annotations

import re

# Unicode's Cc but newline and tab, and Cs: they move the cursor, set titles, answer queries.
# What ends a line elsewhere, and what turns the direction of the text around it: it would be read otherwise than it is.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """The text with control and direction characters and lone surrogates, all but newline and tab, as their escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
