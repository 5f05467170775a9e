"""Nets that start from weights of another training."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from torch import Tensor, nn

from ltr.admin.checkpoint import read_model
from ltr.admin.errors import UserError
from ltr.admin.foreign.checkpoint import is_foreign, read_foreign

BACKBONE = "feature_extractor"  # the child of a tracker's net, and so the first part of its entries in a file
_COUNTER = ".num_batches_tracked"  # files of before torch 0.4.1 have none, and no result depends on it
_LISTED = 5


def load_backbone(backbone: nn.Module, path: str) -> None:
    """Fills a backbone, in place.

    Args:
        backbone: with torchvision's entry names; what else the file has (``layer4``, ``fc``) is left out.
        path: a file of torchvision's classification nets (``resnet18-*.pth``), or of a tracker with such a backbone.

    Raises:
        UserError: the file cannot be read, or lacks an entry of the backbone, or has one of another shape.
    """
    file = Path(path).expanduser()
    tensors = read_tensors(file)
    fill(backbone, _part(tensors, BACKBONE) or tensors, "backbone", file)


def load_parts(net: nn.Module, path: str) -> list[str]:
    """Fills the backbone of a tracker's net, and those of its other parts that the file has too, in place.

    Args:
        net: its children are its parts; one of them is the ``feature_extractor``.
        path: as for :func:`load_backbone`.

    Returns:
        Names of the parts that were filled.

    Raises:
        UserError: as for :func:`load_backbone`, also where a part of the file is that of another net.
    """
    file = Path(path).expanduser()
    tensors = read_tensors(file)
    found = {name: _part(tensors, name) for name, _ in net.named_children()}
    found[BACKBONE] = found[BACKBONE] or tensors
    filled = [name for name, part in found.items() if part]
    for name in filled:
        fill(net.get_submodule(name), found[name], "backbone" if name == BACKBONE else name, file)
    return filled


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {entry.removeprefix(prefix): tensor for entry, tensor in tensors.items() if entry.startswith(prefix)}


def fill(
    module: nn.Module, tensors: Mapping[str, Tensor], called: str, file: Path, optional: Container[str] = ()
) -> None:
    """Fills a part of a net, in place; what else the file has is left out.

    Args:
        module: the part.
        tensors: by the names of its entries.
        called: its name in messages, as is ``file``.
        optional: entries that keep what they have where the file lacks them.

    Raises:
        UserError: an entry is missing or has another shape; up to five are listed.
    """
    wrong = []
    for name, own in module.state_dict().items():
        found = tensors.get(name)
        if found is None and name not in optional and not name.endswith(_COUNTER):
            wrong.append(f"{name} is missing")
        elif found is not None and found.shape != own.shape:
            wrong.append(f"{name} is {tuple(found.shape)} instead of {tuple(own.shape)}")
    if wrong:
        more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise UserError(f"weights {file} do not fit the {called}: {'; '.join(wrong[:_LISTED])}{more}")
    module.load_state_dict({name: tensors[name] for name in module.state_dict() if name in tensors}, strict=False)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The net's tensors in a model file or a file of ``torch.save``, whatever net it is.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        foreign = is_foreign(path)
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror or error}; correct the path") from error
    return read_foreign(path).tensors if foreign else read_model(path).tensors
