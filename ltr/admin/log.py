"""Logging set-up and the frame of a command line. For CLIs only. Torch-free."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from ltr.admin.errors import UsageError, UserError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def setup_logging(verbose: bool = False) -> None:
    """Sends log records to stderr: our notes and all warnings; with `verbose` also details and their source.

    Args:
        verbose: True for DEBUG of `ltr` and `pytracking`, with logger names and times.
    """
    layout = "%(asctime)s %(name)s %(levelname)s: %(message)s" if verbose else "%(levelname)s: %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(layout))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("ltr", "pytracking", "__main__"):  # the last is a command line that is run as a file or with -m
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)


class _Formatter(logging.Formatter):
    """Lower-case levels ("warning: …"), and no word before plain notes."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text.replace("INFO: ", "", 1).replace(record.levelname, record.levelname.lower(), 1)


def run_cli(main: Callable[[], int | None]) -> int:
    """Runs a command's body and turns what it raises into an exit status.

    Args:
        main: the body; returns its exit status (None is 0).

    Returns:
        0 done; 1 `UserError`; 2 `UsageError`; 130 interrupted by the keyboard. The message goes to stderr
        without a traceback. Other exceptions are faults of the program and pass through with theirs.
    """
    try:
        return main() or DONE
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG_USAGE if isinstance(error, UsageError) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
