"""The console script ``wmcontrol``, beside the package: importing that takes a moment, in which people press Ctrl-C."""

import sys


def main() -> int:
    """Run the command line; see :func:`wmcontrol.cli.main.main`."""
    try:
        from wmcontrol.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        print("wmcontrol: interrupted; the same line goes on from what was saved", file=sys.stderr)
        return 130
