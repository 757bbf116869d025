"""How Sphinx makes the pages of the documentation: `make docs`. A test does so with warnings as errors."""

from __future__ import annotations

from amtdiag import __version__

project = "amtdiag"
author = "The amtdiag authors"
copyright = author  # noqa: A001 # Sphinx's name for it
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
# The source is the whole tree (`sphinx-build -c docs .`), so that links out of docs/ lead somewhere.
root_doc = "docs/index"
include_patterns = ["docs/**.md", "CHANGELOG.md", "CONTRIBUTING.md", "sample_pcaps/README.md"]

myst_heading_anchors = 3  # the anchors that GitHub gives, which the pages' links name

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True

# A word of a Literal, such as "stuck", may be the name of several attributes: it refers to none of them.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"amtdiag {release}"
html_static_path: list[str] = []
templates_path: list[str] = []
html_show_copyright = False
# "$" and what a command prints stay out of what the copy button takes.
copybutton_prompt_text = "$ "
copybutton_here_doc_delimiter = "EOT"
