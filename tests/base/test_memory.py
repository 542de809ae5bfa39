"""Memory of freed arrays: kept while a process computes, given back between jobs. In processes of their own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told")

ARRAY_MIB, ROUNDS = 16, 20
SCRIPT = """
import resource, sys, threading
import numpy as np, psutil
from telltale.base.memory import keep_freed_memory, return_memory

if "keep" in sys.argv:
    keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def compute(rounds):
    for _ in range(rounds):
        arrays = [np.ones(int(sys.argv[1]) * 2**20 // 8) for _ in range(4)]

def in_a_thread():  # as a worker's jobs run
    compute(1)
    before = faults()
    compute(int(sys.argv[2]))
    print(faults() - before)

thread = threading.Thread(target=in_a_thread)
thread.start()
thread.join()
held = psutil.Process().memory_info().rss
return_memory()
print((held - psutil.Process().memory_info().rss) // 2**20)
"""


def measured(*options: str) -> tuple[int, int]:
    """Return the page faults of the rounds, and the MiB that `return_memory` gave back."""
    command = [sys.executable, "-c", SCRIPT, str(ARRAY_MIB), str(ROUNDS), *options]
    faults, returned = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(faults), int(returned)


def test_kept_memory_is_used_again_and_returned_when_told() -> None:
    pages_of_an_array = ARRAY_MIB * 2**20 // 4096
    faults, returned = measured("keep")
    assert faults < pages_of_an_array, "the arrays of 20 rounds were mapped anew"
    assert returned >= ARRAY_MIB * 3
