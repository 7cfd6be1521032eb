"""What the stages of test_run_stages.py do, in processes of their own."""

import time
from pathlib import Path

from wmcontrol.compare.stages import Stage


def write(stage: Stage, root: Path) -> dict:
    texts = [(need.folder(root) / "text").read_text() for need in stage.needs]
    (stage.folder(root) / "text").write_text(f"{stage.name}({' '.join(texts)})")
    return {"began": time.time()}


def fail(stage: Stage, root: Path) -> dict:
    raise ValueError("the well is dry")


def wait(stage: Stage, root: Path) -> dict:
    (stage.folder(root) / "began").touch()
    time.sleep(600)
    return {}
