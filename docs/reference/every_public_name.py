"""Hooks of mkdocs: ``@@ wmcontrol.planners`` becomes the documentation of every public name of that module.

Roles of Sphinx in docstrings, which editors know, become links.
"""

import importlib
import inspect
import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with the entries in the place of such lines."""
    return re.sub(r"^@@ (\S+)$", lambda found: "\n\n".join(_entries(found[1])), markdown, flags=re.MULTILINE)


def on_page_content(html: str, **_: Any) -> str:
    """Return a page in which roles are links to what they name, where it is documented."""
    role = r":(?:func|class|meth|mod|data|attr):<code>~?([\w.]*?)(\w+)</code>"
    return re.sub(role, r'<autoref optional identifier="\1\2"><code>\2</code></autoref>', html)


def _entries(module_name: str) -> list[str]:
    module = importlib.import_module(module_name)
    own = [name for name, found in vars(module).items() if getattr(found, "__module__", None) == module_name]
    names = getattr(module, "__all__", own)
    return [f"::: {_path(module_name, name, getattr(module, name))}" for name in names if name[0] != "_"]


def _path(module_name: str, name: str, found: Any) -> str:
    """Return where a name is defined: what reads the source does not follow names that are imported when first used."""
    if inspect.isclass(found) or inspect.isfunction(found):
        return f"{found.__module__}.{found.__qualname__}"
    return f"{module_name}.{name}"
