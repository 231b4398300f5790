"""A browser and a place in plain words, from what a session noted of them.

A User-Agent is a hint that anybody may forge: good enough for a person to know their own devices
again, and used for nothing else.
"""

import re
from ipaddress import ip_address

from flask_babel import gettext as _

# The first that is found: many browsers say that they are others, too.
_BROWSERS = (
    (r"Edg(?:e|A|iOS)?/", "Microsoft Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"Vivaldi/", "Vivaldi"),
    (r"DuckDuckGo/", "DuckDuckGo"),
    (r"Firefox/|FxiOS/", "Firefox"),
    (r"CriOS/|Chrome/|Chromium/", "Chrome"),
    (r"Version/.*Safari/", "Safari"),
)
_SYSTEMS = (
    (r"iPhone|iPod", "iPhone"),
    (r"iPad", "iPad"),
    (r"Android", "Android"),
    (r"CrOS", "ChromeOS"),
    (r"Windows", "Windows"),
    (r"Macintosh|Mac OS X", "Mac"),
    (r"Linux|X11", "Linux"),
)
_MOBILE = frozenset({"iPhone", "iPad", "Android"})


def device(user_agent: str) -> str:
    """`Firefox on Windows`."""
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if browser and system:
        return str(_("%(browser)s on %(system)s", browser=browser, system=system))
    return browser or system or str(_("A browser or app that we do not know"))


def icon(user_agent: str) -> str:
    return "phone" if _first(_SYSTEMS, user_agent) in _MOBILE else "laptop"


def place(address: str, current: str) -> str:
    """Where an address is, as far as it says so by itself."""
    try:
        found = ip_address(address)
    except ValueError:
        return str(_("Unknown network"))
    if found.is_loopback:
        return str(_("This computer"))
    if address == current:
        return str(_("The network that you use now (%(address)s)", address=address))
    if found.is_private:
        return str(_("A local network (%(address)s)", address=address))
    return str(_("Network address %(address)s", address=address))


def _first(known: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for pattern, name in known if re.search(pattern, user_agent)), "")
