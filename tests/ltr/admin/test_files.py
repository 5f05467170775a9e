from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write, keep_former, writable_dir


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as file:
        file.write("ü\n")
        assert not (tmp_path / "a.txt").exists()
    with atomic_write(tmp_path / "b.bin", "wb") as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes().replace(b"\r\n", b"\n") == "ü\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt", "b.bin"]


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_the_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with atomic_write(tmp_path / "atomic") as file:
        file.write("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


def test_no_room_is_a_user_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UserError, match=r"cannot write .*a\.txt.*free some room"), atomic_write(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_missing_folder_and_file_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing.*create it first"), atomic_write(tmp_path / "missing" / "a"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"), atomic_write(tmp_path / "file" / "a"):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="folder of that name"), atomic_write(tmp_path / "folder"):
        pass


def test_an_error_about_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        (tmp_path / "other.txt").read_text()


def test_append_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode"), atomic_write(tmp_path / "a.txt", "a"):
        pass


def test_writable_dir_is_made(tmp_path: Path) -> None:
    assert writable_dir(tmp_path / "a" / "b").is_dir()
    assert names(tmp_path / "a" / "b") == []


def test_writable_dir_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*a"):
        writable_dir(tmp_path / "a")


def test_writable_dir_without_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Tests often run as root, whom no mode keeps out.
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(UserError, match="no right to write there"):
        writable_dir(tmp_path)


@pytest.mark.parametrize("links", [True, False])
def test_a_former_file_stays_when_the_newer_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    new, former = tmp_path / "new", tmp_path / "former"

    def refuse(*args: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    keep_former(new, former)
    assert not former.exists()
    for text in ("1", "2", "3"):
        keep_former(new, former)
        with atomic_write(new) as file:
            file.write(text)
    assert (former.read_text(), new.read_text()) == ("2", "3")
    assert {path.name for path in tmp_path.iterdir()} == {"new", "former"}


def test_a_former_file_that_cannot_be_kept_is_named(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("1")
    with pytest.raises(UserError, match=r"cannot write .*gone/former: No such file or directory; the folder"):
        keep_former(tmp_path / "new", tmp_path / "gone" / "former")
