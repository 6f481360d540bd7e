"""A part of a benchmark -> its CPU seconds, wall time and peak memory, in a process of its own.

A script that measures parts calls `in_own_process` on itself with `--part`, and there `own_cost`. CPU seconds (user + system, all threads)
are the figure: wall time depends on who else computes. Imports are not counted.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def in_own_process(script: str, *part: str) -> dict[str, Any]:
    """{cpu_s, wall_s, peak_gib, values} of `script --part …`; stops if it fails."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, script, "--part", *part], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"wall_s": round(time.perf_counter() - began, 2)}


def own_cost(work: Callable[[], Any], told: Callable[[Any], Any] = lambda result: result) -> None:
    """Does the work and prints its figures; what is told of its result is not counted."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    result = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu_s": round(cpu_s, 2), "peak_gib": round(after.ru_maxrss / 2**20, 2), "values": told(result)}))
