"""Print the lowest version of each package that pyproject.toml allows, as constraints for pip.

Usage: python tests/lowest.py EXTRA…

What constraints.txt pins stays so: older releases of torch are CUDA builds of several gigabytes on the package index.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def requirements(project: dict, extras: list[str]) -> Iterator[Requirement]:
    """Yield the requirements of the project and of its extras, and of those that they name in turn."""
    for line in [*project["dependencies"], *(line for e in extras for line in project["optional-dependencies"][e])]:
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            yield from requirements({**project, "dependencies": []}, sorted(requirement.extras))
        else:
            yield requirement


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    names = {Requirement(line).name for line in pinned.splitlines() if line and not line.startswith("#")}
    print(pinned, end="")
    for requirement in requirements(project, sys.argv[1:]):
        bounds = [spec.version for spec in requirement.specifier if spec.operator in (">=", "==")]
        if requirement.name not in names and bounds:
            print(f"{requirement.name}=={bounds[0]}")


if __name__ == "__main__":
    main()
