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
    scheme, separator, rest = url.partition("://")
    server, mark, query = rest.partition("?")
    own = (
        f"{scheme}{separator}{server}{mark}{'&'.join(part for part in query.split('&') if not _is_of_sentinels(part))}"
    )
    if masked(own) != own:
        raise SettingsError("The URL of Redis has a password, and a file with a password is named too: use one of them")
    user, at, place = server.rpartition("@")
    name = quote(unquote(user.removesuffix(":")), safe="") if at else ""
    return f"{scheme}{separator}{name}:{quote(password, safe='')}@{place}{mark}{query}"


def with_sentinel_password(url: str, password: str) -> str:
    """`url` with the password of the sentinels, which was kept elsewhere.

    Raises SettingsError if it has one already, or names no sentinels.
    """
    place, _, query = url.partition("?")
    if not place.partition("://")[0].lower().endswith("+sentinel"):
        raise SettingsError("A file with the sentinels' password is named, and the URL of Redis names no sentinels")
    if any(_is_of_sentinels(part) for part in query.split("&")):
        raise SettingsError("The URL of Redis has a password of the sentinels, and a file with one is named too")
    return f"{place}?{query}{'&' if query else ''}sentinel_password={quote(password, safe='')}"


def _is_of_sentinels(option: str) -> bool:
    return unquote_plus(option.partition("=")[0]) == "sentinel_password"
