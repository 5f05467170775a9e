"""Data set, processing, net and actor of the toy; not a setting, for it defines no ``settings``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ltr.actors.base import Actor
from ltr.admin.errors import UserError
from ltr.admin.seeding import rng_for
from ltr.dataset.base import SequenceInfo, VideoDataset

SIDE, FRAMES = 24, 12


class ToyVideos(VideoDataset):
    """Bright 6 x 6 squares that move over noise, frames of 24 x 24 pixels.

    Args:
        num_sequences: Number of sequences.
        seed: Of everything.
        broken: Number of sequences, the first ones, whose frames cannot be read.
        crash: Sequence whose frames raise an unexpected error, if any.
    """

    name = "toy_videos"

    def __init__(self, num_sequences: int = 6, seed: int = 0, broken: int = 0, crash: int = -1) -> None:
        self.num_sequences, self.seed, self.broken, self.crash = num_sequences, seed, broken, crash
        self.infos = [self._info(seq_id) for seq_id in range(num_sequences)]

    def __len__(self) -> int:
        return self.num_sequences

    def sequence_info(self, seq_id: int) -> SequenceInfo:
        return self.infos[seq_id]

    def _info(self, seq_id: int) -> SequenceInfo:
        rng = rng_for(self.seed, "toy", seq_id)
        corners = rng.integers(0, SIDE - 6, (FRAMES, 2))
        boxes = np.concatenate([corners, np.full((FRAMES, 2), 6)], axis=1).astype(np.float32)
        return SequenceInfo(boxes=boxes, visible=np.arange(FRAMES) % 5 != 4, name=f"toy-{seq_id}")

    def frames(self, seq_id: int, frame_ids: Sequence[int]) -> list[np.ndarray]:
        if seq_id < self.broken:
            raise UserError("cannot read 0001.jpg: convert it again")
        if seq_id == self.crash:
            raise ZeroDivisionError("a fault in the data set")
        boxes = self.sequence_info(seq_id).boxes.astype(int)
        images = []
        for frame_id in frame_ids:
            image = rng_for(self.seed, "noise", seq_id, frame_id).integers(0, 80, (SIDE, SIDE, 3), dtype=np.uint8)
            x, y = boxes[frame_id, :2]
            image[y : y + 6, x : x + 6] = 220
            images.append(image)
        return images


class ToyProcessing:
    """The first template and search frame, and the centre of the target in the latter."""

    def __call__(
        self,
        template_frames: list[np.ndarray],
        template_boxes: list[np.ndarray],
        search_frames: list[np.ndarray],
        search_boxes: list[np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, torch.Tensor]:
        x, y, w, h = (float(v) for v in search_boxes[0])
        noise = float(rng.normal(0, 0.01))
        return {
            "template": torch.from_numpy(template_frames[0]).permute(2, 0, 1).float() / 255 + noise,
            "search": torch.from_numpy(search_frames[0]).permute(2, 0, 1).float() / 255 + noise,
            "centre": torch.tensor([(x + w / 2) / SIDE, (y + h / 2) / SIDE]),
        }


class ToyNet(nn.Module):
    """Finds the centre of the square; batch normalisation and dropout are there to have state to lose.

    Without them (``plain``) the losses of two halves of a batch have the batch's loss as their mean.
    """

    def __init__(self, channels: int = 4, plain: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride=2),
            nn.Identity() if plain else nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.0 if plain else 0.1),
            nn.Linear(channels * 25, 2),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, 24, 24) float32 in [0, 1] -> (B, 2) centres x, y in [0, 1]."""
        return self.body(images)


class ToyActor(Actor):
    """Distance of the centre and a little weight decay; ``poison`` makes the distance NaN at that call."""

    def __init__(self, net: nn.Module, poison: int = -1) -> None:
        super().__init__(net)
        self.poison, self.calls = poison, 0
        self.epochs: list[int] = []

    def __call__(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        distance = (self.net(batch["search"]).float() - batch["centre"]).abs().mean()
        if self.net.training:
            distance = distance * (float("nan") if self.calls == self.poison else 1.0)
            self.calls += 1
        decay = 1e-4 * sum(p.square().sum() for p in self.net.parameters())
        loss = distance + decay
        return loss, {"distance": distance.detach(), "decay": decay.detach()}

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)
