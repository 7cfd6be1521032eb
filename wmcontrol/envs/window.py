"""A window on the screen, for ``render_mode="human"``."""

import os
import sys

import cv2
import numpy as np
from numpy.typing import NDArray


def why_no_window() -> str | None:
    """Say why no window can be opened here and what to do about it, or return None if one can."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return (
            'render_mode="human" needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; '
            'use render_mode="rgb_array" and save the frames, or connect with a display'
        )
    gui = [line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")]
    if gui and "NONE" in gui[0]:
        return (
            'render_mode="human" needs an OpenCV that can open windows, and the one installed is headless: '
            "pip uninstall opencv-python-headless, then pip install opencv-python"
        )
    return None


class Window:
    """One window that shows frames at the environment's rate."""

    def __init__(self, title: str):
        self.title = title

    def show(self, frame: NDArray[np.uint8], rate: float) -> None:
        """Show an RGB frame (H, W, 3) and wait for one period of ``rate``, Hz."""
        cv2.imshow(self.title, frame[..., ::-1])
        cv2.waitKey(max(1, round(1000 / rate)))

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self.title)
