"""The Python of the README and of the documentation's pages runs as written, in a folder without the project.

What needs the network is a block of `py`, which is not run.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {
    page.stem: found
    for page in PAGES
    if (found := re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
}
# One after the other in one process, which imports PyTorch once; each in a folder and with names of its own.
RUN = """
import json, os, sys

def run(blocks, main):
    names = dict(main)
    for number, block in enumerate(blocks):
        main.clear()
        main.update(names)
        os.mkdir(str(number))
        os.chdir(str(number))
        exec(compile(block, f"block {number}", "exec"), main)
        os.chdir("..")

run(json.load(sys.stdin), sys.modules["__main__"].__dict__)
"""
LINKS = [
    pytest.param(page, link, id=f"{page.stem}-{link}")
    for page in PAGES
    for link in sorted(set(re.findall(r"\]\(((?!http)[^)#]+)\)", page.read_text())))
]


def test_there_are_blocks() -> None:
    assert sum(map(len, BLOCKS.values())) >= 7


@pytest.mark.parametrize("page", BLOCKS)
def test_python_of_a_page_runs(page: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", RUN]
    # With the command line on the path, as in an environment that was activated.
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    how = {"cwd": tmp_path, "env": env, "input": json.dumps(BLOCKS[page]), "timeout": 280}
    result = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_links_lead_somewhere(page: Path, link: str) -> None:
    assert (page.parent / link).exists()
