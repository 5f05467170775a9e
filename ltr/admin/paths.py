"""Local paths: one `local.toml`, asked for only when a path is needed, and never written. Torch-free.

```toml
[datasets]
otb = "/data/OTB100"

[paths]
results = "/data/tracking_results"
workspace = "/data/workspace"
networks = ["/data/networks"]
```
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ltr.admin.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "local.toml"
VARIABLE = "PYTRACKING_LOCAL"


def config_candidates() -> list[Path]:
    """Where `local.toml` is looked for, the first that exists counts.

    With $PYTRACKING_LOCAL set, there alone; otherwise the working directory, then the user's folder of
    settings (`~/.config/pytracking`, `%APPDATA%\\pytracking`, `~/Library/Application Support/pytracking`).
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        return [path / FILE_NAME if path.is_dir() else path]
    return [Path.cwd() / FILE_NAME, *(folder / "pytracking" / FILE_NAME for folder in _user_folders())]


def config_file() -> Path | None:
    """The `local.toml` in use, or None.

    Raises:
        UserError: $PYTRACKING_LOCAL names a file that is not there.
    """
    for path in config_candidates():
        if path.is_file():
            return path
    if os.environ.get(VARIABLE):
        named = config_candidates()[0]
        raise UserError(f"{VARIABLE} names {named}, which does not exist: create it, or unset {VARIABLE}")
    return None


def dataset_path(key: str) -> Path:
    """The folder of a data set: `[datasets] <key>` of `local.toml`.

    Args:
        key: e.g. "otb".

    Raises:
        UserError: not set; the message has the key, the file looked for and the line to add. Or the folder
            does not exist.
    """
    value = _table("datasets").get(key)
    if value is None:
        file = config_file()
        looked = " or ".join(str(path) for path in config_candidates())
        where = f"in {file}" if file else f"in a new file {config_candidates()[-1]} (looked for {looked})"
        raise UserError(f'the folder of data set {key!r} is not set: add the line  {key} = "/path/to/{key}"  '
                        f"under [datasets] {where}")
    return _existing(_path("datasets", key, value), f"[datasets] {key}")


def results_dir() -> Path:
    """Where result files go: `[paths] results`, else `./results`."""
    return _setting("results", "results")


def workspace_dir() -> Path:
    """Where trainings keep their files: `[paths] workspace`, else `./workspace`."""
    return _setting("workspace", "workspace")


def networks_dirs() -> list[Path]:
    """The user's folders of weights: `[paths] networks`, a string or a list; may be empty."""
    value = _table("paths").get("networks", [])
    return [_path("paths", "networks", item) for item in (value if isinstance(value, list) else [value])]


def _setting(key: str, default: str) -> Path:
    value = _table("paths").get(key)
    return Path.cwd() / default if value is None else _path("paths", key, value)


def _table(name: str) -> dict[str, Any]:
    file = config_file()
    if file is None:
        return {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:  # its message ends with line and column
        remedy = "correct that line (the file is left as it is)"
        raise UserError(f"{file} is not valid TOML: {error}; {remedy}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}; correct the file or its rights") from error
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise UserError(f"{file}: {name!r} must be a table: write [{name}] on a line of its own")
    return table


def _path(table: str, key: str, value: object) -> Path:
    """Relative paths in the file are relative to the file, whatever the working directory."""
    file = config_file()
    if not isinstance(value, str) or not value:
        raise UserError(f"{file}: [{table}] {key} must be a path in quotes, got {value!r}")
    path = Path(os.path.expandvars(value)).expanduser()
    return path if path.is_absolute() or file is None else (file.parent / path).resolve()


def _existing(path: Path, entry: str) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist: correct {entry} in {config_file()}")
    return path


def _user_folders() -> list[Path]:
    if os.environ.get("XDG_CONFIG_HOME"):
        return [Path(os.environ["XDG_CONFIG_HOME"])]
    home = Path.home()
    if sys.platform == "win32":
        return [Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")]
    if sys.platform == "darwin":
        return [home / "Library" / "Application Support", home / ".config"]
    return [home / ".config"]
