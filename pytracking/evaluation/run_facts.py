"""run.json: what a folder's results were made with, and the refusal to mix results of different settings."""

from __future__ import annotations

import enum
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ltr.admin.errors import UserError
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.sequence import Sequence
from pytracking.evaluation.tracker_spec import TrackerSpec

_PACKAGES = (
    "pytracking-host",
    "torch",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_DECISIVE = (
    "seed",
    "parameters",
    "weights_sha256",
)  # results of different values must not stand side by side


def claim_folder(store: ResultStore, spec: TrackerSpec, sequences: Iterable[Sequence]) -> dict[str, Any]:
    """Make sure that the folder can be written to and that its results were made with these settings.

    Args:
        store: The folder.
        spec: What is about to run.
        sequences: What it is about to run on.

    Returns:
        The facts, as written to run.json.

    Raises:
        UserError: Unknown tracker, parameter or weights; results of other settings (the differences are
            named); a folder that cannot be written to.
    """
    facts = run_facts(store, spec)
    before = store.read_run_facts()
    datasets = {sequence.dataset for sequence in sequences}
    if before is not None and any(store.folder.glob("*.txt")):
        changed = [f"{key}: {old!r} -> {new!r}" for key, old, new in _differences(before, facts)]
        if changed:
            raise UserError(
                f"{store.folder} holds results made with other settings ({'; '.join(changed[:6])}). "
                "Choose another --runid or --results, or remove that folder"
            )
        datasets |= set(before.get("datasets", ()))
    facts["datasets"] = sorted(datasets)
    store.write_run_facts(facts)
    return facts


def run_facts(store: ResultStore, spec: TrackerSpec) -> dict[str, Any]:
    """Everything that decides the results, as plain JSON values."""
    weights = spec.weights_file()
    parameters = plain(spec.parameters())
    if isinstance(parameters, dict):
        parameters.pop("debug", None)  # it decides what is shown, not what is found
    return {
        "tracker": spec.name,
        "parameter": spec.parameter,
        "run_id": store.run_id,
        "seed": spec.seed,
        "device": spec.device,
        "overrides": plain(dict(spec.overrides)),
        "parameters": parameters,
        "weights_file": None if weights is None else str(weights),
        "weights_sha256": None if weights is None else _sha256(weights),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def plain(value: Any, depth: int = 8) -> Any:
    """A value as JSON can hold it, the same for equal settings (an object's address is no part of it).

    Args:
        value: A dataclass, an attribute bag, containers, numbers, ...
        depth: Levels to go down; objects in attribute bags may refer to each other in a circle.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if depth > 0:
        if isinstance(value, Mapping):
            return {str(key): plain(item, depth - 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item, depth - 1) for item in value]
        if hasattr(value, "__dict__") and not callable(value):  # dataclasses, and pytracking's attribute bags
            return {
                key: plain(item, depth - 1) for key, item in vars(value).items() if not key.startswith("_")
            }
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    keys = _DECISIVE if not prefix else dict.fromkeys([*old, *new])
    found = []
    for key in keys:
        one, other = old.get(key), new.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, prefix=f"{prefix}{key}.")
        elif one != other and not (one != one and other != other):  # NaN is equal to NaN here
            found.append((f"{prefix}{key}", one, other))
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
