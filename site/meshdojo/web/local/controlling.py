"""Makes standard input the controlling terminal, then becomes the program of the command line.

A program of its own: only in the new session, between fork and exec, can that be said, and Python code must not run
there in a process with threads. Run as ``python -I -S controlling.py PROGRAM ARGUMENTS…``.
"""

import fcntl
import os
import sys
import termios

if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execvp(sys.argv[1], sys.argv[1:])  # the shell that the owner asked for
