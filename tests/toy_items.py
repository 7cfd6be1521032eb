"""What test_engine.py and test_ray.py do with items, in processes of their own."""

import os
import signal
import time
from pathlib import Path


def double(number: float) -> float:
    time.sleep(number / 10)
    return 2 * number


def spare(item: object) -> str | None:
    """Say what toy_imports.py of a folder of the user's has set."""
    return os.environ.get("TOY_IMPORTS")


def threads(item: object) -> tuple[int, str | None]:
    return os.getpid(), os.environ.get("OMP_NUM_THREADS")


def fail_at_two(number: int) -> int:
    if number == 2:
        raise ValueError("the well\nis dry")
    return number


def die_once(item: tuple[int, Path]) -> int:
    """Kill its own process in the middle of item 1, the first time."""
    number, mark = item
    with (mark.parent / f"calls_{number}").open("a") as calls:
        calls.write("x")
    if number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_always(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)  # the others run beside it
    return number


def wait(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(600)
