"""What a terminal may be shown."""

from __future__ import annotations

import re

# Unicode's Cc but newline and tab, and Cs: they move the cursor, set titles, answer queries
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def harmless(text: str) -> str:
    """The text with control characters and lone surrogates, all but newline and tab, as their escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
