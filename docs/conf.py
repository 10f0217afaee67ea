"""How the pages in this folder become a site: ``make docs``, which takes warnings for errors."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "otbench"
author = "The otbench maintainers"
version = release = version_of("otbench")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sources",
    "docstrings",
]
exclude_patterns = ["_build", "_ext"]
nitpicky = True

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # docstrings tell shapes and units, which types do not
napoleon_custom_sections = [("Source", "returns_style")]
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"otbench {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["otbench.css"]
