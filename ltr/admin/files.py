"""Writing files so that a file which exists is whole. Torch-free."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ltr.admin.errors import UserError

_REMEDIES = {
    errno.ENOSPC: "free some room on that disk, or choose another folder",
    errno.EDQUOT: "your quota is used up: free some room, or choose another folder",
    errno.EACCES: "no right to write there: choose another folder, or change its rights",
    errno.EPERM: "no right to write there: choose another folder, or change its rights",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.ENOENT: "the folder does not exist: create it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another path",
    errno.EEXIST: "a file of that name stands there: remove it, or choose another path",
    errno.EISDIR: "a folder of that name stands there: choose another name",
    errno.ENAMETOOLONG: "the name is too long for this file system: choose a shorter one",
}


def write_error(path: str | os.PathLike[str], error: OSError) -> UserError:
    """The error for a path that could not be written, naming it and what to do."""
    remedy = _REMEDIES.get(error.errno or 0, "check the disk, or choose another folder")
    return UserError(f"cannot write {os.fspath(path)}: {error.strerror or error}; {remedy}")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w", **open_kwargs: Any) -> Iterator[IO[Any]]:
    """Opens a temporary file beside `path` and renames it to `path` when the block ends well.

    Whoever looks at `path` sees the old content or the new, never a part. When the block raises, the
    temporary file is removed and an existing `path` stays as it was.

    Args:
        path: the file to write; its folder must exist.
        mode: "w" (UTF-8 unless `encoding` is given) or "wb".
        **open_kwargs: passed on to `open`.

    Yields:
        The open file.

    Raises:
        UserError: no room, no rights, no such folder.
        ValueError: another mode.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"atomic_write: mode must be 'w' or 'wb', got {mode!r}")
    if mode == "w":
        open_kwargs.setdefault("encoding", "utf-8")
    target = Path(path)
    temporary = target.with_name(f".{target.name[:60]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        # Not tempfile: its files are for the owner alone, a result has the rights any new file would have.
        with temporary.open(mode.replace("w", "x"), **open_kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        if error.filename not in (None, os.fspath(temporary)):
            raise  # about another file, which the caller's block has opened
        raise write_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def keep_former(path: str | os.PathLike[str], former: str | os.PathLike[str]) -> None:
    """Gives the content of `path` a second name, under which it stays when `path` is replaced by `atomic_write`.

    At any moment both names have a whole file. Without a file `path` nothing happens.

    Raises:
        UserError: no room or rights.
    """
    source, target = Path(path), Path(former)
    temporary = target.with_name(f".{target.name[:60]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        if not source.exists():
            return
        try:
            os.link(source, temporary)
        except OSError:  # not every file system has hard links
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def writable_dir(path: str | os.PathLike[str]) -> Path:
    """Creates the folder `path` where need be and makes sure that files can be made in it.

    Raises:
        UserError: that is not possible; names the path and the remedy.
    """
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # os.access knows neither read-only disks nor network rights
            pass
    except OSError as error:
        raise write_error(folder, error) from error
    return folder
