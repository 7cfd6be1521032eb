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
    if console.is_terminal:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[pace]}"))
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(what, total=None, pace="")
            pace = _Pace(unit)

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total, pace=pace(done, total))

            yield show
    else:
        pace = _Pace(unit)
        last, quiet = monotonic(), True

        def say(done: int, total: int) -> None:
            nonlocal last, quiet
            words = pace(done, total)
            if monotonic() - last >= every or (done >= total and not quiet):
                console.print(f"{what}: {words}", soft_wrap=True, highlight=False, markup=False)
                last, quiet = monotonic(), done >= total

        yield say


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


class _Pace:
    """Puts progress into words; the rate is that since the first call."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int) -> str:
        now = monotonic()
        self.first = self.first or (done, now)
        count, seconds = done - self.first[0], now - self.first[1]
        words = f"{done:,}/{total:,} {self.unit}"
        if count <= 0 or seconds <= 0:
            return words
        rate = count / seconds
        speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s" if rate >= 0.1 else f"{1 / rate:,.0f} s each"
        left = timedelta(seconds=round((total - done) / rate))
        return f"{words}, {speed}, " + (f"{left} left" if done < total else f"took {timedelta(seconds=round(seconds))}")
