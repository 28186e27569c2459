"""The wheel `tvdatasets`: the packages of `datasets` that need no Django, under another name.

`datasets` is also the name of Hugging Face's package, and only one of two can be imported. The build
copies the packages and replaces the name in their import lines; docs/decisions/0024 has the reasons.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

SOURCE = Path("datasets")
MODULES = ["formats", "lru_cache"]
PACKAGES = [
    name
    for name in find_packages(str(SOURCE))
    if name.partition(".")[0] in ("assistant", "bars", "calendars", "errors", "storage", "research")
]
VERSION = re.search(r"^## v(\S+)", Path("CHANGELOG.md").read_text(), re.M)
IMPORT = re.compile(r"^(\s*(?:from|import)) datasets\b", re.M)


class RenamedBuild(build_py):
    """Copies the modules, and names `tvdatasets` in their imports of `datasets`."""

    def run(self) -> None:
        if self.editable_mode:
            raise SystemExit(
                "The package cannot be installed as editable: its modules are copies with other imports. "
                "In the project's folder `from tvdatasets import load` works as it is."
            )
        built = Path(self.build_lib) / "tvdatasets"
        # The remains of an older build would be packed too.
        shutil.rmtree(built, ignore_errors=True)
        super().run()
        for name in MODULES:
            self.copy_file(str(SOURCE / f"{name}.py"), str(built / f"{name}.py"))
        for path in built.rglob("*.py"):
            path.write_text(IMPORT.sub(r"\1 tvdatasets", path.read_text()))


setup(
    version=VERSION[1] if VERSION else "0",
    packages=["tvdatasets", *(f"tvdatasets.{name}" for name in PACKAGES)],
    package_dir={"tvdatasets": "tvdatasets"}
    | {f"tvdatasets.{name}": str(SOURCE / name.replace(".", "/")) for name in PACKAGES},
    cmdclass={"build_py": RenamedBuild},
)
