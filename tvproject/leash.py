"""Runs a command that gets SIGTERM when the process that started it dies (on Linux only).

`python -IS leash.py <process id of the starter> <program> <argument>…`. Run by its path,
because `-m tvproject.leash` would import the whole project first.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>; outlives `exec`


def main() -> None:
    """Request SIGTERM at the starter's death from the system, then replace this process by the command."""
    starter, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != int(starter):
            sys.exit("The process that started this one has died.")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
