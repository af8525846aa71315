"""Names from elsewhere, in a form that is safe in a path and in the name of a key. Pure."""

import re

LONGEST = 200
_UNSAFE = re.compile(rb"[^A-Za-z0-9._@+=-]")


def safe_name(name: str) -> str:
    """`name` with every unusual byte as %XX. No two names have the same form, and none is `.`, `..` or empty."""
    encoded = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], name.encode("utf-8", "surrogateescape")).decode()
    if encoded.startswith("."):
        encoded = f"%2E{encoded[1:]}"
    return encoded[:LONGEST] or "%"
