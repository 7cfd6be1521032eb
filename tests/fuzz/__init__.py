"""A seeded fuzzer of all that reads what others wrote: data sets, stores, models, evaluations, words and arguments.

``python -m tests.fuzz --cases 10000 --seed 1`` runs as many cases as asked for, and ``--only 1234`` one of them again.
Every case runs in a process of its own, with limits of time and memory, and ends in one of ``OUTCOMES``.
"""

OUTCOMES = (
    "ok",  # it was read, and what came out makes sense
    "clear",  # refused, and the error says in which file, or which argument, and what of it
    "raw",  # an error of another kind than ValueError, TypeError and OSError, or a traceback
    "unnamed",  # an error that does not say where
    "wrong",  # it was read, and what came out makes no sense
    "hang",
    "memory",  # more than 512 MiB
    "crash",
    "foreign",  # a file outside the set was opened
    "code",  # something from the file was run
)
