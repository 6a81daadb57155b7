"""A subject for the tests: counts its measurements, prints lines of its own, or fails on request."""

import os
import sys

from benchmarks.serving import serve

count = 0


def measure():
    global count
    count += 1
    print("a library's own line")
    if sys.argv[1] == "fail" and count == 2:
        print("RuntimeError: out of luck", file=sys.stderr)
        os._exit(1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {"count": count, "process": os.getpid(), "cores": cores}


serve(measure, kind=sys.argv[1])
