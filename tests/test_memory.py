"""How much memory a process has held."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from wmcontrol.memory import peak_memory


def test_the_peak_is_remembered() -> None:
    before = peak_memory()
    np.ones(before + 2**26, np.uint8)  # and gone again
    assert before + 2**26 <= peak_memory() < 2 * before + 2**28


def test_windows_is_asked_by_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=123))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    assert peak_memory() == 123
