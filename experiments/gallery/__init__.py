"""For the documentation: ``python -m experiments.gallery.NAME``, NAME being the file that draws a picture."""

import argparse
from pathlib import Path

from PIL import Image


def picture_file(word: str) -> Path:
    """Return where a picture goes, and make its folder: what cannot be saved is told before work starts.

    Raises:
        argparse.ArgumentTypeError: the name does not end as that of a picture.
    """
    path = Path(word)
    if path.suffix.lower() not in Image.registered_extensions():
        raise argparse.ArgumentTypeError(f"expected a file such as picture.png, got {word!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
