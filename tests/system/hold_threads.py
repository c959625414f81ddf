#!/usr/bin/python3
"""Holds threads still: those of which the ids are given, until there is no more to be read. Says when it does.

A thread that is held has not noticed anything: it is as one that the scheduler has forgotten."""

import ctypes
import os
import sys

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main():
    threads = [int(word) for word in sys.argv[1:]]
    for thread in threads:
        ptrace(SEIZE, thread)
        ptrace(INTERRUPT, thread)
        os.waitpid(thread, WALL)
    print("held", flush=True)
    sys.stdin.read()
    for thread in threads:
        ptrace(DETACH, thread)


if __name__ == "__main__":
    main()
