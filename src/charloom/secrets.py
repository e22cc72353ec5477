"""The one place that decides what is secret in an address. charloom removes it from all that it shows or keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
# User and password: `//user:password@host` and `//token@host`. A password may contain a slash if a colon comes before
# it. A colon before a port (`//host:8080/a@b`) begins no password.
_USER = re.compile(r"//(?:[^\s/?#'\"<>]*@|[^\s/:@\[]*:(?!\d{1,5}/)(?:(?!//)[^\s@])*@)")
# Settings with a secret value, in a query (`?token=…`), a fragment or a connection string. A name is secret if one of
# its words ends with a secret word: DB_PASS, X-Amz-Signature, AWSAccessKeyId, accesskeyid, odbc_connect. A word ends
# before a character that is not a letter, and before a capital letter. So author, passage and design are not secret.
_ENDING = (
    r"(?i:(?<!com)(?<!by)pass|pwd|token|secret|sig|signature|key|auth|authorization|creds?|session|sess(?=id)|jwt|hmac|"
    r"ticket|odbc)(?i:id)?(?:(?![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
)
# These words are secret wherever they occur in a name. A `code` is one only if it is the whole name, as in OAuth:
# status_code and encode are not secret.
_ANYWHERE = "(?i:passw|passphrase|secret(?!ar)|credential)"
_SETTING = re.compile(rf"(?<![\w.%-])((?:[\w.%-]*(?:{_ENDING}|{_ANYWHERE})[\w.%-]*|(?i:code))=)[^&#\s'\"<>]+")


def without_secrets(text: str) -> str:
    """The text without the user and password of each address in it, and with *** for each secret setting."""
    return _SETTING.sub(rf"\1{HIDDEN}", _USER.sub("//", text))


def with_no_secrets(value: Any) -> Any:
    """A value as JSON or YAML has it, in which no text contains a secret."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {with_no_secrets(name): with_no_secrets(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_no_secrets(each) for each in value]
    return value
