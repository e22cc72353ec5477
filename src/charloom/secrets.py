"""The one place that decides what is secret in an address. charloom removes it from all that it shows or keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
# User and password: `//user:password@host` and `//token@host`. A password may contain a slash if a colon comes before
# it. A colon before a port (`//host:8080/a@b`) begins no password.
_USER = re.compile(r"//(?:[^\s/?#'\"<>]*@|[^\s/:@\[]*:(?!\d{1,5}/)(?:(?!//)[^\s@])*@)")
# Settings with a secret value, in a query (`?token=…`), a fragment or a connection string. The words occur in the names
# that object stores, databases and web services use: X-Amz-Signature, sig, AWSAccessKeyId, odbc_connect.
_WORDS = "pass|pwd|token|secret|sig|key|auth|cred|code|session|jwt|hmac|ticket|odbc"
_SETTING = re.compile(rf"(?<![\w.%-])([\w.%-]*(?:{_WORDS})[\w.%-]*=)[^&#\s'\"<>]+", re.IGNORECASE)


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
