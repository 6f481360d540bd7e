"""A stage's function -> a command: a reader's fault is printed without a traceback, the time taken is printed, exit codes are stated."""

import sys
import time
from collections.abc import Callable

from rich.console import Console

from features.errors import UserError

FAULT = 2  # exit code of a fault the reader can mend; 1 is ours, with its traceback

console = Console(highlight=False, soft_wrap=True)


def command(main: Callable[[], object]) -> None:
    """Runs `main`; a UserError ends the process with exit code 2 and its three lines on stderr."""
    try:
        main()
    except UserError as fault:
        print(f"error: {fault}", file=sys.stderr)
        raise SystemExit(FAULT) from None


def stage(name: str, main: Callable[[], object]) -> None:
    """Runs one stage of the flow and prints its seconds."""
    began = time.perf_counter()
    command(main)
    console.print(f"[bold]{name}[/bold] {time.perf_counter() - began:.1f} s")
