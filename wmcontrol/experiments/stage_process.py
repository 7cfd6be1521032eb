"""One stage in a process of its own: ``python -m …``, the stage and where it is done, pickled, on standard input.

It ends itself when its standard input does: when the process that started it is gone, however it went.
"""

import os
import pickle
import sys
import threading

OUTPUT = "output.txt"


def _read(count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = os.read(sys.stdin.fileno(), count - len(found))
        if not part:
            os._exit(1)
        found += part
    return found


def _end_with_stdin() -> None:
    _read(1)  # nothing comes
    os._exit(1)


if __name__ == "__main__":
    message = _read(int.from_bytes(_read(8), "big"))
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    asked, root = pickle.loads(message)  # written by the process that started this one
    from .stages import run_stage

    run_stage(asked, root)
