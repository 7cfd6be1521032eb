"""One process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from wmcontrol.files import exclusive_lock

HOLD = """
import sys
from pathlib import Path
from wmcontrol.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_holds_a_folder_until_it_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OSError, match="another process") as caught, exclusive_lock(tmp_path):
            pytest.fail("two hold it")
        assert str(tmp_path) in str(caught.value)
        other.kill()
    for _ in range(2):
        with exclusive_lock(tmp_path), pytest.raises(OSError, match="another process"), exclusive_lock(tmp_path):
            pytest.fail("two hold it")
