"""Backbones that start from weights of another training."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from ltr.admin.checkpoint import read_model
from ltr.admin.errors import UserError
from ltr.admin.foreign.checkpoint import is_foreign, read_foreign

PREFIX = "feature_extractor."  # of the backbone's entries in the file of a whole tracker
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
    tensors = _tensors(file)
    wrong = []
    for name, own in backbone.state_dict().items():
        found = tensors.get(name)
        if found is None and not name.endswith(_COUNTER):
            wrong.append(f"{name} is missing")
        elif found is not None and found.shape != own.shape:
            wrong.append(f"{name} is {tuple(found.shape)} instead of {tuple(own.shape)}")
    if wrong:
        more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise UserError(f"weights {file} do not fit the backbone: {'; '.join(wrong[:_LISTED])}{more}")
    backbone.load_state_dict({name: tensors[name] for name in backbone.state_dict() if name in tensors}, strict=False)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        foreign = is_foreign(path)
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror or error}; correct the path") from error
    tensors = read_foreign(path).tensors if foreign else read_model(path).tensors
    if any(name.startswith(PREFIX) for name in tensors):
        return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    return tensors
