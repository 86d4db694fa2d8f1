"""Sphinx configuration: Markdown by MyST, the PyData theme, references made from the code."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "extensions")]

from anymodal import __version__  # noqa: E402 (of this checkout, by the path above)

project = "AnyModal"
author = "The AnyModal contributors"
copyright = "The AnyModal contributors, Apache-2.0"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "commands",
    "picture",
    "settings",
    "tables",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "extensions"]

# No dollarmath: its MathJax would come from elsewhere.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = False  # one page for several classes, no stubs
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
# PyTorch's own docstrings are reStructuredText of another site.
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    ("Shapes", "notes_style"),
    ("Units", "notes_style"),
    ("Source", "notes_style"),
]

html_theme = "pydata_sphinx_theme"
html_title = "AnyModal"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Pages of their own have no section to navigate.
html_sidebars = {name: [] for name in ("quickstart", "concepts", "measured", "faq")}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
