"""The build backend of `pip install .`: says how the project is used, and installs nothing.

Without it pip installs an empty package, and `import datasets` fails later for no visible reason.
"""

from __future__ import annotations

import sys
from typing import NoReturn

_SENTENCE = (
    "This project is not a package yet, so pip cannot install it. To load bars in a notebook, install "
    "its requirements (pip install -r requirements.txt) and add this folder to Python's path: "
    "sys.path.insert(0, '/path/to/this/folder'). To run the service: make run."
)


def _refuse(*arguments: object, **named: object) -> NoReturn:
    sys.exit(_SENTENCE)


# The hooks by which pip and build ask for a package, in whatever form.
get_requires_for_build_wheel = get_requires_for_build_editable = get_requires_for_build_sdist = (
    _refuse
)
prepare_metadata_for_build_wheel = prepare_metadata_for_build_editable = _refuse
build_wheel = build_editable = build_sdist = _refuse
