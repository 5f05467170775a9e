"""Model files (safetensors with one JSON header entry) and training states. No code in either.

A model file holds the tensors under their `state_dict` names, and in its header one entry
`pytracking-host` with JSON: the format's version, the builder's name and arguments, and facts of the
training. Writing is atomic; reading executes nothing and imports only registered builders.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write
from ltr.admin.runtime import resolve_device
from ltr.models.registry import NetSpec, build_net

METADATA_KEY = "pytracking-host"
FORMAT_VERSION = 1
_LISTED = 10


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds.

    Attributes:
        tensors: the state dictionary, on the CPU, in the precision of the file.
        spec: the net's builder and arguments.
        facts: epoch, settings, metrics, seed, versions, as the training wrote them.
    """

    tensors: dict[str, Tensor]
    spec: NetSpec
    facts: dict[str, Any]


def save_model(
    path: str | PathLike[str],
    net: nn.Module,
    spec: NetSpec,
    facts: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> Path:
    """Writes the net's weights and its description.

    Args:
        path: the file, usually `*.safetensors`.
        net: the net that `spec` builds.
        spec: its builder and arguments.
        facts: JSON values; versions of torch, numpy and python are added.
        dtype: floating-point type of the stored tensors (e.g. `torch.float16` halves the file); None keeps
            the net's.

    Raises:
        UserError: no room or rights to write, or facts that are not JSON values.
    """
    tensors = {name: _stored(tensor, dtype) for name, tensor in net.state_dict().items()}
    versions = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
    header = {"format": FORMAT_VERSION, "builder": spec.builder, "kwargs": spec.kwargs, "versions": versions}
    try:
        text = json.dumps({**header, "facts": dict(facts)}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"cannot describe the net in {path}: {error}; builder arguments and facts must be JSON values "
            "(finite numbers, strings, lists, dictionaries)"
        ) from error
    with atomic_write(path, "wb") as file:
        file.write(to_safetensors(tensors, {METADATA_KEY: text}))
    return Path(path)


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    # A copy of its own: safetensors refuses tensors that share memory, such as tied weights.
    cast = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", cast, copy=True).contiguous()


def read_model(path: str | PathLike[str]) -> ModelFile:
    """Reads a model file without building the net.

    Raises:
        UserError: missing, truncated, not a safetensors file, or without our description.
    """
    path = Path(path)
    _check_kind(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"weights {path} are damaged, cut short or not a safetensors file ({error}); the file has "
            f"{path.stat().st_size} bytes: copy or download it again"
        ) from error
    spec, facts = _parse_header(path, metadata.get(METADATA_KEY))
    return ModelFile(tensors, spec, facts)


def _check_kind(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"weights {path} are a folder; name the .safetensors file in it")
    try:
        with path.open("rb") as file:
            start = file.read(10)
    except FileNotFoundError:
        raise UserError(f"weights {path} do not exist; correct the path") from None
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror or error}") from error
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80" or path.suffix in {".pth", ".pt", ".tar", ".ckpt"}:
        raise UserError(
            f"weights {path} are a pickle (torch.save), which could run code when loaded, and was not "
            "opened. Convert it: torch.load(path, weights_only=True) where you trust it, load_state_dict, "
            "then ltr.admin.checkpoint.save_model"
        )


def _parse_header(path: Path, text: str | None) -> tuple[NetSpec, dict[str, Any]]:
    if text is None:
        raise UserError(
            f"weights {path} say nothing about their net (no {METADATA_KEY!r} entry in the header): "
            "they come from another program; write them with ltr.admin.checkpoint.save_model"
        )
    damaged = f"weights {path}: the description of the net is damaged; copy or download the file again"
    try:
        header = json.loads(text)
        version, builder, kwargs = header["format"], header["builder"], header["kwargs"]
        facts = {**header.get("facts", {}), "versions": header.get("versions", {})}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{damaged} ({error!r})") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"weights {path} have format {version!r}, this program reads {FORMAT_VERSION}: update it"
        )
    if not isinstance(builder, str) or not isinstance(kwargs, dict):
        raise UserError(damaged)
    return NetSpec(builder, kwargs), facts


def load_net(
    path: str | PathLike[str], *, builder: str | None = None, device: str | torch.device = "cpu"
) -> nn.Module:
    """Builds the net of a model file, fills it and puts it into evaluation mode.

    Args:
        path: a file of `save_model`.
        builder: the builder whose nets the caller can use; a file of another one is an error.
        device: where to put the net.

    Returns:
        The net in float32 (buffers in their own types), `eval()`.

    Raises:
        UserError: missing, damaged, of another net, or names and shapes that do not fit (the first ten of
            each are listed).
    """
    model = read_model(path)
    if builder is not None and model.spec.builder != builder:
        raise UserError(
            f"weights {path} are of net {model.spec.builder!r}, but {builder!r} is needed: use another file"
        )
    try:
        net = build_net(model.spec)
    except (UserError, TypeError, ValueError, RuntimeError) as error:  # arguments that no net can have
        raise UserError(f"weights {path}: cannot build their net: {error}") from error
    problems = _mismatches(net.state_dict(), model.tensors)
    if problems:
        raise UserError(f"weights {path} do not fit net {model.spec.builder!r}: {'; '.join(problems)}")
    net.load_state_dict(model.tensors)
    return net.eval().to(resolve_device(device))


def _mismatches(own: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> list[str]:
    shapes = [f"{name} {tuple(stored[name].shape)} instead of {tuple(own[name].shape)}"
              for name in own if name in stored and stored[name].shape != own[name].shape]
    missing, unexpected = own.keys() - stored.keys(), stored.keys() - own.keys()
    kinds = {"missing": missing, "unexpected": unexpected, "wrong shape": shapes}
    return [f"{kind}: {_first(names)}" for kind, names in kinds.items() if names]


def _first(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return ", ".join(ordered[:_LISTED]) + more


def save_train_state(path: str | PathLike[str], state: Mapping[str, Any]) -> Path:
    """Writes a training state of tensors and plain containers, atomically.

    Raises:
        UserError: no room or rights.
    """
    with atomic_write(path, "wb") as file:
        torch.save(dict(state), file)
    return Path(path)


def load_train_state(path: str | PathLike[str]) -> dict[str, Any]:
    """Reads a training state, on the CPU; only tensors and plain containers are accepted.

    Raises:
        UserError: missing, damaged, or holding anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"training state {path} does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler and zip reader raise
        first_line = str(error).strip().partition("\n")[0]
        raise UserError(
            f"training state {path} cannot be read ({first_line}): it is damaged or not a training state; "
            "start anew with --no-resume"
        ) from error
    if not isinstance(state, dict):
        raise UserError(f"training state {path} holds a {type(state).__name__}, not a training state")
    return state
