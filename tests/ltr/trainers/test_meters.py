"""Averages over an epoch, and averages of weights."""

from __future__ import annotations

import pytest
import torch

from ltr.trainers.ema import EmaWeights
from ltr.trainers.meters import NonFiniteLoss, StatMeter


def test_averages_weigh_samples_and_survive_an_interruption() -> None:
    meter, other = StatMeter(), StatMeter()
    meter.add(0, 4, torch.tensor(1.0, requires_grad=True), {"iou": torch.tensor(0.5)})
    meter.add(1, 2, torch.tensor(4.0), {})
    assert meter.waiting == 2
    other.load_state_dict(meter.state_dict())
    assert meter.waiting == 0 and meter.last == {"loss": 4.0}
    for m in (meter, other):
        m.add(2, 1, torch.tensor(0.1), {"iou": torch.tensor([1.0])})
    assert meter.averages() == other.averages() == {
        "loss": (4 + 8 + torch.tensor(0.1).item()) / 7, "iou": (2 + 1) / 5
    }  # fmt: skip
    meter.reset()
    assert meter.averages() == {}


def test_the_first_bad_step_is_named() -> None:
    meter = StatMeter()
    meter.add(0, 1, torch.tensor(1.0), {"a": torch.tensor(float("nan"))})  # a figure may be undefined, the loss not
    meter.add(1, 1, torch.tensor(float("inf")), {"a": torch.tensor(1.0), "b": torch.tensor(float("inf"))})
    meter.add(2, 1, torch.tensor(float("nan")), {})
    with pytest.raises(NonFiniteLoss) as caught:
        meter.flush()
    assert caught.value.step == 1 and caught.value.listed() == "b = inf"
    assert NonFiniteLoss(0, {"loss": float("inf"), "a": 1.0}).listed() == "loss = inf"


def test_weights_are_averaged_as_the_formula_says() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.BatchNorm1d(1))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
    ema = EmaWeights(net, 0.3)
    expected = 1.0
    for step, value in enumerate((3.0, -2.0, 5.0), 1):
        with torch.no_grad():
            net[0].weight.fill_(value)
            net[1].num_batches_tracked.fill_(step)
        ema.update(net)
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert ema.average["0.weight"][0, 0].item() == pytest.approx(expected, rel=1e-6)
    with ema.applied(net):
        assert net[0].weight[0, 0].item() == pytest.approx(expected, rel=1e-6)
        assert net[1].num_batches_tracked == 3
    assert net[0].weight[0, 0].item() == 5.0


def test_averages_of_another_net_are_refused() -> None:
    ema = EmaWeights(torch.nn.Linear(2, 1), 0.9)
    with pytest.raises(ValueError, match="not of this net"):
        ema.load_state_dict({"steps": 1, "average": {"weight": torch.zeros(1, 2)}})
