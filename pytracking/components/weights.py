"""Finding weight files by name or path. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path

from ltr.admin.errors import UserError, near_misses
from ltr.admin.paths import networks_dirs

SHIPPED_DIR = Path(__file__).resolve().parents[1] / "networks"
SUFFIXES = (".safetensors", ".pth", ".pth.tar")  # official checkpoints are found by their names too


def resolve_weights(name_or_path: str | os.PathLike[str]) -> Path:
    """The file that holds a tracker's weights.

    Args:
        name_or_path: a path; or a file's name, with or without its ending (`.safetensors`, else `.pth`, else
            `.pth.tar`), in one of the user's folders (`networks` under `[paths]` in local.toml) or among the
            shipped ones (`pytracking/networks`), looked for in this order.

    Raises:
        UserError: no such file; lists the names that exist.
    """
    text = os.fspath(name_or_path)
    if not text:
        raise UserError("no weights are named: give a file with --weights FILE, or a name of shipped ones")
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if path.is_dir() and path.name != text:
        raise UserError(f"weights {path} are a folder; name the file in it")
    if path.name == text:  # without a folder
        for folder in weights_dirs():
            for ending in ("", *SUFFIXES):
                if (folder / (text + ending)).is_file():
                    return folder / (text + ending)
    raise _not_found(text)


def weights_dirs() -> list[Path]:
    """Folders in which weights are found by name, the first ones first."""
    return [*networks_dirs(), SHIPPED_DIR]


def available_weights() -> list[str]:
    """Names of the weights that are there, sorted."""
    return sorted(
        {path.name.removesuffix(ending) for folder in weights_dirs() for ending in SUFFIXES
         for path in folder.glob(f"*{ending}")}
    )  # fmt: skip


def _not_found(text: str) -> UserError:
    available = available_weights()
    near = near_misses(text.partition(".")[0], available)
    meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    looked = ", ".join(str(folder) for folder in weights_dirs())
    return UserError(
        f"weights {text!r} not found{meant} It is neither a file nor a name in {looked}. "
        f"Available: {', '.join(available) or '(none)'}. Give a file with --weights FILE, or set your "
        "folder as networks under [paths] in local.toml"
    )
