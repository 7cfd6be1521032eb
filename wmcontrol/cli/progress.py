"""How far a job is: a bar in a terminal, a plain line now and then elsewhere, both on stderr."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

Report = Callable[[int, int], None]


@contextmanager
def progress_bar(
    what: str, unit: str = "steps", every: float = 10.0, console: Console | None = None
) -> Iterator[Report]:
    """Give a function ``progress(done, total)`` that shows how far it is, how fast, and how much time is left.

    Where there is no terminal it prints a line at most every so many seconds, and nothing if all is done before that.
    The first call may come with work done earlier, which does not count in the rate.

    Args:
        what: what is being done, such as "collecting".
        unit: what is counted, such as "episodes".
        every: seconds between two lines where there is no terminal.
        console: where to show it; stderr unless given.
    """
    console = console or Console(stderr=True)
    terminal, first, last, quiet = console.is_terminal, None, monotonic(), True
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=console, disable=not terminal) as bar:
        task = bar.add_task(what, total=None, pace="")

        def show(done: int, total: int) -> None:
            nonlocal first, last, quiet
            first = first or (done, monotonic())
            words = _in_words(done, total, unit, done - first[0], monotonic() - first[1])
            bar.update(task, completed=done, total=total, pace=words)
            if not terminal and (monotonic() - last >= every or (done >= total and not quiet)):
                console.print(f"{what}: {words}", soft_wrap=True, highlight=False, markup=False)
                last, quiet = monotonic(), done >= total

        yield show


@contextmanager
def progress_bars(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function ``progress(name, done, total)`` with a bar for each name, one after the other."""
    with ExitStack() as bars:
        shown: dict[str, Report] = {}

        def progress(name: str, done: int, total: int) -> None:
            if name not in shown:
                bars.close()
                shown[name] = bars.enter_context(progress_bar(name, unit))
            shown[name](done, total)

        yield progress


def _in_words(done: int, total: int, unit: str, count: int, seconds: float) -> str:
    """Put progress into words; so many were done in so many seconds."""
    words = f"{done:,}/{total:,} {unit}"
    if count <= 0 or seconds <= 0:
        return words
    rate = count / seconds
    speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s" if rate >= 0.1 else f"{1 / rate:,.0f} s each"
    left = timedelta(seconds=round((total - done) / rate))
    return f"{words}, {speed}, " + (f"{left} left" if done < total else f"took {timedelta(seconds=round(seconds))}")
