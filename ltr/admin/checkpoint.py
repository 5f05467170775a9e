"""Model files (safetensors with one JSON header entry) and training states. No code in either.

A model file holds the tensors under their `state_dict` names, and in its header one entry
`pytracking-host` with JSON: the format's version, the builder's name and arguments, and facts of the
training. Writing is atomic; reading executes nothing and imports only registered builders. Checkpoints of the
official code are read in the place of model files, as data (`ltr.admin.foreign`).
"""

from __future__ import annotations

import json
import logging
import platform
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write
from ltr.admin.foreign.checkpoint import ForeignCheckpoint, is_foreign, read_foreign
from ltr.admin.runtime import resolve_device
from ltr.models.official import official_nets, official_spec
from ltr.models.registry import NetSpec, build_net, list_builders

log = logging.getLogger(__name__)

METADATA_KEY = "pytracking-host"
FORMAT_VERSION = 1
_LISTED = 10
_COUNTER = ".num_batches_tracked"


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


def read_model(
    path: str | PathLike[str], *, builder: str | None = None, overrule: bool = False
) -> ModelFile:
    """Reads a model file, or a checkpoint of the official code, without building the net.

    Args:
        path: a file of `save_model`, or of `torch.save` with a net that one of ours is declared to be.
        builder: the builder whose net is wanted; a file of another one is an error, and a file that names none
            is taken for it.
        overrule: take a file for `builder` also when it names a net that is not known here.

    Raises:
        UserError: missing, damaged, neither of the two, or of another net.
    """
    path = Path(path)
    if _is_foreign(path):
        model = _foreign_model(path, builder, overrule)
    else:
        model = _own_model(path, builder)
    if builder is not None and model.spec.builder != builder:
        raise UserError(
            f"weights {path} are of net {model.spec.builder!r}, but {builder!r} is needed: use another file"
        )
    return model


def _is_foreign(path: Path) -> bool:
    if path.is_dir():
        raise UserError(f"weights {path} are a folder; name the file in it")
    if path.exists() and not path.is_file():
        raise UserError(f"weights {path} are no regular file; give a file on disk")
    try:
        return is_foreign(path)
    except FileNotFoundError:
        raise UserError(f"weights {path} do not exist; correct the path") from None
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror or error}") from error


def _foreign_model(path: Path, builder: str | None, overrule: bool) -> ModelFile:
    found = read_foreign(path)
    try:
        return ModelFile(found.tensors, _foreign_spec(found, builder, overrule), found.facts)
    except UserError as error:
        raise UserError(f"weights {path}: {error}") from error


def _foreign_spec(found: ForeignCheckpoint, builder: str | None, overrule: bool) -> NetSpec:
    if found.constructor is None:
        if builder is None:
            raise UserError(
                "the file does not say which net it is of; convert it with 'ltr-convert FILE --net NAME', where "
                f"NAME is one of {', '.join(list_builders())}"
            )
        return NetSpec(builder)
    if builder is not None and overrule and found.constructor not in official_nets():
        log.warning("the file says that its net is %s, unknown here; it is taken for %s", found.constructor, builder)
        return NetSpec(builder)
    return official_spec(found.constructor, found.arguments)


def _own_model(path: Path, builder: str | None) -> ModelFile:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"weights {path} are damaged, cut short or not a safetensors file ({error}); the file has "
            f"{path.stat().st_size} bytes: copy or download it again"
        ) from error
    text = metadata.get(METADATA_KEY)
    if text is None and builder is not None:
        return ModelFile(tensors, NetSpec(builder), {})
    spec, facts = _parse_header(path, text)
    return ModelFile(tensors, spec, facts)


def _parse_header(path: Path, text: str | None) -> tuple[NetSpec, dict[str, Any]]:
    if text is None:
        raise UserError(
            f"weights {path} say nothing about their net (no {METADATA_KEY!r} entry in the header): "
            "they come from another program; convert them with 'ltr-convert FILE OUT --net NAME'"
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
    """Builds the net of a model file or of an official checkpoint, fills it and puts it into evaluation mode.

    Args:
        path: a file that `read_model` reads.
        builder: the builder whose nets the caller can use; a file of another one is an error.
        device: where to put the net.

    Returns:
        The net in float32 (buffers in their own types), `eval()`.

    Raises:
        UserError: missing, damaged, of another net, or names and shapes that do not fit (the first ten of
            each are listed).
    """
    return fill_net(path, read_model(path, builder=builder)).to(resolve_device(device))


def fill_net(path: str | PathLike[str], model: ModelFile) -> nn.Module:
    """The net of a file that was read, filled and in evaluation mode, on the CPU.

    Args:
        path: the file, for messages.
        model: what `read_model` returned.

    Raises:
        UserError: no net can be built so, or names and shapes do not fit (the first ten of each are listed).
    """
    try:
        net = build_net(model.spec)
    except (UserError, TypeError, ValueError, RuntimeError) as error:  # arguments that no net can have
        raise UserError(f"weights {path}: cannot build their net: {error}") from error
    own = net.state_dict()
    tensors = {**_lacking_counters(own, model.tensors), **model.tensors}
    problems = _mismatches(own, tensors)
    if problems:
        raise UserError(f"weights {path} do not fit net {model.spec.builder!r}: {'; '.join(problems)}")
    net.load_state_dict(tensors)
    return net.eval()


def _lacking_counters(own: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Batch counters of normalisation layers, where a file has none at all: torch stores them since 0.4.1 only."""
    if any(name.endswith(_COUNTER) for name in stored):
        return {}
    return {name: tensor for name, tensor in own.items() if name.endswith(_COUNTER)}


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
        output = _Output(file)
        try:
            torch.save(dict(state), cast(IO[bytes], output))
        except RuntimeError as error:
            if output.error is None:
                raise
            raise output.error from error
    return Path(path)


class _Output:
    """A file that remembers why it could not be written: torch puts an error of its own in the place of that."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def load_train_state(path: str | PathLike[str]) -> dict[str, Any]:
    """Reads a training state, on the CPU; only tensors and plain containers are accepted.

    Raises:
        UserError: missing, damaged, or holding anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"training state {path} does not exist")
    try:
        if zipfile.is_zipfile(path):  # torch does not look at the checksums that it writes
            with zipfile.ZipFile(path) as archive:
                if (name := archive.testzip()) is not None:
                    raise ValueError(f"wrong checksum of {name}")
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
