"""One process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

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


@pytest.mark.parametrize("another_file", [False, True])
def test_a_lock_leaves_no_file_and_has_one_holder_though_files_come_and_go(
    another_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fcntl")
    lock, acquire, calls = tmp_path / "lock", FileLock.acquire, []

    def acquired_as_the_last_holder_leaves(self: FileLock) -> object:
        found = acquire(self)
        if not calls:
            lock.unlink()
            if another_file:
                lock.touch()
        calls.append(self)
        return found

    monkeypatch.setattr(FileLock, "acquire", acquired_as_the_last_holder_leaves)
    with exclusive_lock(tmp_path), pytest.raises(OSError, match="another process"), exclusive_lock(tmp_path):
        pytest.fail("two hold it")
    assert len(calls) == 2
    assert list(tmp_path.iterdir()) == []
