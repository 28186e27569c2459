"""Build backend of `pip install .`: installs nothing and explains how to use the project.

Without this backend pip would install an empty package, and `import datasets` would fail later.
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


# All hooks that pip and build call for wheels, editable installs and source archives.
get_requires_for_build_wheel = get_requires_for_build_editable = get_requires_for_build_sdist = (
    _refuse
)
prepare_metadata_for_build_wheel = prepare_metadata_for_build_editable = _refuse
build_wheel = build_editable = build_sdist = _refuse
