from __future__ import annotations

import subprocess
import sys

import pytest

from ltr.admin.errors import UsageError, UserError
from ltr.admin.log import run_cli


def fails(error: BaseException) -> int:
    def main() -> int:
        raise error

    return run_cli(main)


def test_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(lambda: 0) == 0
    assert run_cli(lambda: None) == 0
    assert run_cli(lambda: 3) == 3
    assert fails(UserError("no room")) == 1
    assert capsys.readouterr().err == "error: no room\n"
    assert fails(UsageError("unknown")) == 2
    assert fails(KeyboardInterrupt()) == 130


def test_faults_of_the_program_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        fails(ZeroDivisionError())


def test_a_reader_that_has_gone_is_no_error() -> None:
    code = """
import sys
from ltr.admin.log import run_cli
def main():
    for _ in range(100000): print("x" * 80)
sys.exit(run_cli(main))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


def test_log_lines() -> None:
    code = """
import logging, sys
from ltr.admin.log import setup_logging
setup_logging(verbose=len(sys.argv) > 1)
logging.getLogger("ltr.x").info("a note")
logging.getLogger("ltr.x").debug("a detail")
logging.getLogger("other").info("theirs")
logging.getLogger("other").warning("careful")
"""

    def stderr(*flags: str) -> str:
        command = [sys.executable, "-c", code, *flags]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr

    assert stderr() == "a note\nwarning: careful\n"
    assert "ltr.x debug: a detail" in stderr("-v")
