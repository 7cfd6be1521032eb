"""What a user can do wrong on the command line."""

from collections.abc import Iterable
from difflib import get_close_matches


class UsageError(Exception):
    """A mistake of the user's, told in one line."""


def shortened(text: str) -> str:
    """Return what fits in a line."""
    return text if len(text) <= 100 else f"{text[:100]}…"


def did_you_mean(kind: str, word: str, known: Iterable[str]) -> UsageError:
    """Return the error of an unknown word, which names the closest of the known ones, or all if none is close.

    Args:
        kind: what the word should have been, such as "key".
        word: what came.
        known: what is possible.
    """
    names = list(known)
    word = shortened(word)
    close = get_close_matches(word.lower(), names, n=1)
    if close:
        return UsageError(f"unknown {kind} {word!r}; did you mean {close[0]!r}?")
    there = f"there is {', '.join(names)}" if names else "there are none here"
    return UsageError(f"unknown {kind} {word!r}; {there}")
