"""Adds the files that `charloom new` copies (dvc.yaml, stages/, …) to the package. pyproject.toml has all the rest."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "src"))

from charloom.project.files import FILES, INSTALLED, copy_files, files_in  # noqa: E402


class BuildPackage(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install finds the files in the checkout
            copy_files(Path(self.build_lib) / "charloom" / INSTALLED, FILES)

    def get_source_files(self) -> list[str]:
        """The files for a source distribution."""
        return [
            *super().get_source_files(),
            *(str(name / file) for name in map(Path, FILES) for file in files_in(name)),
        ]


setup(cmdclass={"build_py": BuildPackage})
