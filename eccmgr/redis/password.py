"""The password in a URL of Redis: takes it out before the URL is shown, and puts it in from a file.

It imports little: a program takes the password out of sight before it imports anything slow.
"""

from urllib.parse import quote, unquote, unquote_plus

from eccmgr.errors import SettingsError

MASK = "***"
_OPTIONS = frozenset({"password", "sentinel_password"})


def masked(text: str) -> str:
    """A URL with `***` in place of each password. A text without a password stays as it is.

    A URL that cannot be read may lose more than its password.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    server, mark, query = rest.partition("?")
    login, at, place = server.rpartition("@")
    if at:
        user, colon, password = login.partition(":")
        server = f"{user}{colon}{password and MASK}@{place}"
    elif "@" in query:
        server = MASK
    return f"{scheme}{separator}{server}{mark}{'&'.join(map(_masked_option, query.split('&')))}"


def _masked_option(text: str) -> str:
    name, sign, value = text.partition("=")
    if sign and unquote_plus(name) in _OPTIONS:
        return f"{name}={value and MASK}"
    # The rest of a password that is not percent-encoded.
    return f"{MASK}@{text.rpartition('@')[2]}" if "@" in text else text


def with_password(url: str, password: str) -> str:
    """`url` with a password that was kept elsewhere. Raises SettingsError if it has one already."""
    if masked(url) != url:
        raise SettingsError("The URL of Redis has a password, and a file with a password is named too: use one of them")
    scheme, separator, rest = url.partition("://")
    server, mark, query = rest.partition("?")
    user, at, place = server.rpartition("@")
    name = quote(unquote(user.removesuffix(":")), safe="") if at else ""
    return f"{scheme}{separator}{name}:{quote(password, safe='')}@{place}{mark}{query}"
