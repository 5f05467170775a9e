"""RFGM's losses: their sum, what each part reaches, where the box is read, and that a batch is learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ltr.actors.rfgm import RFGMActor, RFGMLoss
from ltr.losses.center import centre_focal_loss, generalized_iou
from ltr.losses.keep_ratio import keep_ratio_loss
from ltr.models.head.center import CenterMaps
from ltr.models.tracking.rfgm import RFGMNet, RFGMOutput, rfgm_t_small
from ltr.ops.boxes import cxcywh_to_xywh, xywh_to_xyxy
from ltr.ops.heatmaps import centre_heatmap


def net_of(stages: int = 3) -> RFGMNet:
    torch.manual_seed(0)
    return rfgm_t_small(
        stages, 32, template_size=64, search_size=96, width=16, heads=2, head_channels=8, stem="patch"
    )


def batch_of(count: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "templates": torch.randn(count, 2, 3, 64, 64, generator=generator),
        "search": torch.randn(count, 2, 3, 96, 96, generator=generator),
        "search_box": torch.rand(count, 2, 4, generator=generator) * 0.3 + torch.tensor([0.3, 0.3, 0.1, 0.1]),
    }


def edges(boxes: torch.Tensor) -> torch.Tensor:
    return xywh_to_xyxy(cxcywh_to_xywh(boxes))


def test_parts_are_the_losses_of_what_the_net_gives() -> None:
    net, batch = net_of(), batch_of()
    actor = RFGMActor(net, RFGMLoss(focal=1.5))
    actor.train(False)
    loss, parts = actor(batch)
    boxes = batch["search_box"].flatten(0, 1)
    output = net(batch["templates"][[0, 0, 1, 1]], batch["search"].flatten(0, 1))
    truth = edges(boxes)
    giou, iou = generalized_iou(edges(output.box_cxcywh), truth)
    expected = {
        "focal": 1.5 * centre_focal_loss(output.maps.score, centre_heatmap(boxes, (6, 6))),
        "giou": 2 * (1 - giou).mean(),
        "l1": 5 * (edges(output.box_cxcywh) - truth).abs().mean(),
        "ratio": keep_ratio_loss(output.keep_masks, net.keep_ratios),
    }
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value.detach(), msg=name)
    torch.testing.assert_close(loss, sum(expected.values()))
    torch.testing.assert_close(parts["loss"], loss.detach())
    torch.testing.assert_close(parts["iou"], iou.mean().detach())
    assert not any(value.requires_grad for value in parts.values())


def test_box_at_the_target_does_not_depend_on_the_scores() -> None:
    net, batch = net_of(), batch_of()
    peak, target = RFGMActor(net, RFGMLoss(box_at="peak")), RFGMActor(net, RFGMLoss(box_at="target"))
    for actor in (peak, target):
        actor.train(False)
    before = {"peak": peak(batch)[1], "target": target(batch)[1]}
    with torch.no_grad():  # another cell wins
        net.box_head.get_submodule("conv5_ctr").weight.neg_()
    after = {"peak": peak(batch)[1], "target": target(batch)[1]}
    assert not torch.equal(after["peak"]["giou"], before["peak"]["giou"])
    torch.testing.assert_close(after["target"]["giou"], before["target"]["giou"])
    torch.testing.assert_close(after["target"]["l1"], before["target"]["l1"])


def test_cells_around_the_target_are_decoded_as_the_head_is() -> None:
    """Where nine cells all give the true box, their losses are zero; one that gives another one counts by a ninth."""
    net, batch = net_of(), batch_of()
    truth = batch["search_box"].flatten(0, 1)
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    offset = truth[:, :2, None, None] * 6 - torch.stack([columns, rows])
    size = truth[:, 2:, None, None].expand(-1, -1, 6, 6).clone()
    maps = CenterMaps(torch.full((4, 1, 6, 6), 0.1), size, offset)
    actor = RFGMActor(net, RFGMLoss(box_at="around"))
    net.forward = lambda templates, search: RFGMOutput(maps, truth, [])  # type: ignore[method-assign]
    assert actor(batch)[1]["giou"].abs() < 1e-5
    assert actor(batch)[1]["l1"].abs() < 1e-5
    row, column = (truth[0, [1, 0]] * 6).round().long().tolist()
    size[0, :, row - 1, column + 1] *= 2
    one = actor(batch)[1]["l1"].item()
    assert one == pytest.approx(5 * truth[0, 2:].mean().item() / 2 / 36, rel=1e-4)
    size[0, :, row - 2, column + 1] *= 2  # two cells away
    assert actor(batch)[1]["l1"].item() == pytest.approx(one)


def test_targets_at_the_very_edge_have_a_finite_loss() -> None:
    batch = batch_of()
    batch["search_box"] = torch.tensor([1.0, 0.5, 0.2, 0.2]).expand(2, 2, 4)
    for box_at in ("target", "around"):
        loss, parts = RFGMActor(net_of(), RFGMLoss(box_at=box_at))(batch)
        assert torch.isfinite(loss)
        assert parts["giou"] == 0


@pytest.mark.parametrize("box_at", ["peak", "target", "around"])
def test_every_weight_learns(box_at: str) -> None:
    net = net_of()
    actor = RFGMActor(net, RFGMLoss(box_at=box_at))
    actor.train()
    torch.manual_seed(1)
    loss, parts = actor(batch_of())
    loss.backward()
    assert {"focal", "giou", "l1", "ratio"} < parts.keys()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    assert gradients.keys() == dict(net.named_parameters()).keys()
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    scorers = [gradient.abs().max() for name, gradient in gradients.items() if ".rank.fc3.weight" in name]
    assert len(scorers) == 3
    assert min(scorers) > 0


def test_a_net_without_stages_has_no_ratio() -> None:
    actor = RFGMActor(net_of(stages=0), RFGMLoss())
    assert "ratio" not in actor(batch_of())[1]


def test_a_batch_is_learned() -> None:
    net = net_of()
    actor = RFGMActor(net, RFGMLoss(box_at="target"))
    actor.train()
    batch = batch_of(4)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    torch.manual_seed(1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss, _ = actor(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_fixed_statistics_stay() -> None:
    net = rfgm_t_small(template_size=32, search_size=64, width=16, heads=2, head_channels=8)
    stem = net.backbone.patch_embed
    actor = RFGMActor(net, RFGMLoss(), (stem,))
    actor.train()
    assert net.training
    assert net.box_head.training
    assert not any(module.training for module in stem.modules())


def test_weights_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="giou must be at least 0"):
        replace(RFGMLoss(), giou=-1)
