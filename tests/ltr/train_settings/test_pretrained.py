"""Nets filled from files of torchvision's kind and of whole trackers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltr.admin.checkpoint import save_model
from ltr.admin.errors import UserError
from ltr.models.backbone.resnet import resnet18
from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.dcfst import DCFSTNet, dcfst18_small
from ltr.train_settings.pretrained import load_backbone, load_parts

WIDTH = 0.0625


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def small_dcfst(box_channels: int) -> DCFSTNet:
    return dcfst18_small(WIDTH, box_channels, location_channels=(4, 8), embedding=(8, 8))


def test_a_classification_net_gives_what_the_backbone_has(tmp_path: Path) -> None:
    trained, fresh = resnet18(WIDTH, with_head=True), resnet18(WIDTH)
    state = {name: t for name, t in trained.state_dict().items() if "num_batches" not in name}  # as in 2017
    torch.save(state, tmp_path / "resnet18.pth")
    assert not same(fresh, trained)
    load_backbone(fresh, str(tmp_path / "resnet18.pth"))
    assert same(fresh, trained)


def test_a_tracker_lends_its_backbone(tmp_path: Path) -> None:
    spec = NetSpec("dimp18_small", {"width": WIDTH, "classification_channels": 8, "box_channels": 8})
    tracker, fresh = build_net(spec), resnet18(WIDTH)
    save_model(tmp_path / "net.safetensors", tracker, spec, {})
    load_backbone(fresh, str(tmp_path / "net.safetensors"))
    assert same(fresh, tracker.feature_extractor)


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.pth"
    torch.save(resnet18(2 * WIDTH).state_dict(), path)
    fresh = resnet18(WIDTH)
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    with pytest.raises(UserError, match=r"wide\.pth do not fit.*conv1\.weight is \(8, 3, 7, 7\) instead.*and \d+ more"):
        load_backbone(fresh, str(path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in fresh.state_dict().items())
    torch.save({"conv1.weight": fresh.conv1.weight.detach()}, path)
    with pytest.raises(UserError, match=r"bn1\.weight is missing"):
        load_backbone(fresh, str(path))
    with pytest.raises(UserError, match=r"nowhere\.pth"):
        load_backbone(fresh, str(tmp_path / "nowhere.pth"))


def test_a_tracker_lends_the_parts_that_another_has_too(tmp_path: Path) -> None:
    spec = NetSpec("dimp18_small", {"width": WIDTH, "classification_channels": 8, "box_channels": 8})
    lender, borrower = build_net(spec), small_dcfst(8)
    save_model(tmp_path / "net.safetensors", lender, spec, {})
    before = {name: tensor.clone() for name, tensor in borrower.location_predictor.state_dict().items()}
    assert load_parts(borrower, str(tmp_path / "net.safetensors")) == ["feature_extractor", "bb_regressor"]
    assert same(borrower.feature_extractor, lender.feature_extractor)
    assert same(borrower.bb_regressor, lender.bb_regressor)
    assert all(torch.equal(t, before[name]) for name, t in borrower.location_predictor.state_dict().items())
    torch.save(lender.feature_extractor.state_dict(), tmp_path / "resnet18.pth")
    assert load_parts(small_dcfst(16), str(tmp_path / "resnet18.pth")) == ["feature_extractor"]
    with pytest.raises(UserError, match=r"net\.safetensors do not fit the bb_regressor"):
        load_parts(small_dcfst(16), str(tmp_path / "net.safetensors"))
