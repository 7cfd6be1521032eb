"""The command line: the only room that knows Hydra and progress bars.

A command is a file of :mod:`.commands` with a dataclass ``Config``, whose docstring is its help and whose fields are
its keys, and a function ``run`` that calls one function of the library; and a YAML file of :mod:`.conf` that says
which config groups it has. Groups are folders there.
"""
