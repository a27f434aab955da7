"""Network namespaces for a thread of this process: what it opens, and what it starts, belongs to the lab's network.

A socket stays in the namespace in which it was made, threads and processes begin in that of the thread that starts them.
So the end-to-end harness works inside the lab as it is.
"""
import contextlib
import ctypes
import os

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
ORIGINAL = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(path):
    """This thread is in the namespace `path` until the block ends."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(there)
        finally:
            os.close(there)
        yield
    finally:
        enter(before)
        os.close(before)


def outside():
    """The network in which this process began."""
    return inside(f"/proc/self/fd/{ORIGINAL}")
