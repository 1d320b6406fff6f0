"""Templates: what a record says is escaped, an address of it is linked to only if it is one of the web."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from oodbench.site.addresses import file_name, up


def page(template: str, address: str, **content: Any) -> str:
    """Return a page.

    Args:
        template: Name of a file in `templates`.
        address: Of the page, relative to the folder of the site.
        content: What the template names.
    """
    return environment().get_template(template).render(address=address, root=up(address), **content)


@cache
def environment() -> Environment:
    """Return the templates: what is not there is an error, and everything is escaped."""
    made = Environment(
        loader=PackageLoader("oodbench.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"prose": prose, "weblink": weblink, "file_name": file_name, "intervals": intervals}
    return made


def prose(text: str) -> Markup:
    """Return a sentence of the Markdown pages as HTML: `code` and **strong**, all else escaped.

    Example:
        >>> str(prose("**a** < `b`"))
        '<strong>a</strong> &lt; <code>b</code>'
    """
    safe = str(escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe))  # noqa: S704  made of escaped text


def intervals(text: str) -> Markup:
    """Return ranks in words as HTML: no line ends within a rank and its interval.

    Example:
        >>> str(intervals("rank 7 (3-15) by FPR95"))
        'rank <span class="whole">7 (3-15)</span> by FPR95'
    """
    return Markup(re.sub(r"\d+ \(\d+-\d+\)", r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704


def weblink(url: str | None) -> str:
    """Return an address of the web as it is, and nothing of any other: a script is no link.

    Example:
        >>> weblink("javascript:alert(1)")
        ''
    """
    return url if url and re.match(r"https?://", url) else ""
