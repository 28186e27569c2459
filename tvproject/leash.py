"""Become a command that is stopped when the process that started it dies (on Linux).

`python -IS leash.py <process id of the starter> <program> <argument>…`, run by its path:
as a module it would import the whole project first.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>; outlives `exec`


def main() -> None:
    """Ask the system for SIGTERM at the starter's death, then become the command."""
    starter, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != int(starter):
            sys.exit("The process that started this one has died.")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
