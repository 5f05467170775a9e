"""Model files for shipping: fewer branches, half precision."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from ltr.admin.checkpoint import NetSpec, read_model, save_model
from ltr.admin.errors import UserError
from ltr.models.registry import build_net


def export_model(
    source: str | PathLike[str],
    target: str | PathLike[str],
    changes: Mapping[str, Any],
    dtype: torch.dtype | None = torch.float16,
) -> Path:
    """Write the part of a net that tracking needs.

    Args:
        source: a model file of the training.
        target: the file to write.
        changes: builder arguments that differ, such as ``{"decoder": False}``; the smaller net's entries must all be
            in the source with the same shapes, entries that it lacks are dropped.
        dtype: floating-point type of the stored tensors; None keeps the source's.

    Returns:
        the target's path.

    Raises:
        UserError: the source cannot be read, the changed arguments build no net, or the source lacks entries of it.
    """
    model = read_model(source)
    unknown = changes.keys() - model.spec.kwargs.keys()
    if unknown:
        raise UserError(
            f"net {model.spec.builder!r} in {source} has no argument {', '.join(sorted(unknown))}; "
            f"it has {', '.join(sorted(model.spec.kwargs))}"
        )
    spec = NetSpec(model.spec.builder, {**model.spec.kwargs, **changes})
    try:
        net = build_net(spec)
    except (TypeError, ValueError) as error:
        raise UserError(f"cannot build {spec.builder!r} with {spec.kwargs}: {error}") from error
    own = net.state_dict()
    unfit = [name for name in own if name not in model.tensors or model.tensors[name].shape != own[name].shape]
    if unfit:
        raise UserError(f"{source} lacks entries of the exported net, or has them in other shapes: {unfit[:10]}")
    net.load_state_dict({name: model.tensors[name] for name in own})
    return save_model(target, net, spec, model.facts, dtype)
