from pathlib import Path

import pytest

from wmcontrol.experiments import jobs

PRACTICE = '''
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmcontrol.experiments.errors import UsageError
from wmcontrol.experiments.keys import key


@dataclass
class Config:
    """Practise a task.

    What happens is printed.
    """

    env: list[str] = key("where to practise", example="wall", choices=("wall", "pusht"))
    episodes: int = key("how many times", default=3, at_least=1, example="10")
    rate: float = key("how fast", default=0.5, over=0, example="1.5")
    loud: bool = key("whether to cheer", default=False, example="true")
    mood: str = key("how it ends", default="well", example="well")
    out: Path | None = key("where to save", default=None, example="results")
    settings: dict[str, Any] = key("of the environment", default={}, example="{image_size:64}")

    def __post_init__(self) -> None:
        if self.loud and self.rate > 10:
            raise ValueError("loud=true needs rate of 10 or less")


def run(config: Config) -> None:
    print(config)
    if config.mood == "value":
        raise ValueError("the value\\nis wrong")
    if config.mood == "file":
        open("/nowhere/at/all")
    if config.mood == "package":
        raise ImportError('run: pip install "wmcontrol[data]"')
    if config.mood == "usage":
        raise UsageError("that cannot be")
    if config.mood == "bug":
        raise KeyError("a bug")
    if config.mood == "long":
        print("started", flush=True)
        time.sleep(60)
'''


@pytest.fixture
def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a job called practice, as one adds any: a file, which is in the folder returned, and a line."""
    folder = tmp_path / "more_jobs"
    folder.mkdir()
    (folder / "practice.py").write_text(PRACTICE)
    monkeypatch.setattr(jobs, "__path__", [*jobs.__path__, str(folder)])
    monkeypatch.setitem(jobs.JOBS, "practice", "practise a task")
    monkeypatch.delitem(__import__("sys").modules, "wmcontrol.experiments.jobs.practice", raising=False)
    return folder
