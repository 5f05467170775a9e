"""First-frame augmentation against the official transforms (tests/goldens/dimp), its order and its draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from pytracking.components.init_augment import Augmentation, augmentations, drop_channels

GOLDENS = Path(__file__).parents[2] / "goldens" / "dimp"

# The golden's names give parameters, and shifts as (y, x).
CASES = {
    "identity": Augmentation(),
    "translation_+9_+9": Augmentation(shift_yx=(9, 9)),
    "translation_-9_+4_shift_2_-3": Augmentation(shift_yx=(-9 + 2, 4 - 3)),
    "fliplr": Augmentation(flip=True),
    "fliplr_shift_3_-5": Augmentation(flip=True, shift_yx=(3, -5)),
    "blur_3_1": Augmentation(blur_yx=(3, 1)),
    "blur_1_3": Augmentation(blur_yx=(1, 3)),
    "blur_2_2": Augmentation(blur_yx=(2, 2)),
    "rotate_10": Augmentation(rotate=10),
    "rotate_-10": Augmentation(rotate=-10),
    "rotate_45": Augmentation(rotate=45),
    "rotate_-45": Augmentation(rotate=-45),
    "identity_shift_20_0_out_of_patch": Augmentation(shift_yx=(20, 0)),
    "scale_1.2": Augmentation(scale=1.2),
    "scale_0.8": Augmentation(scale=0.8),
}


def check_cases(goldens: Mapping[str, np.ndarray], count: int) -> None:
    patch = torch.from_numpy(goldens["patch64"])
    names = [name for name in CASES if name in goldens]
    assert len(names) == count
    for name in names:
        crop = CASES[name](patch, 32)
        np.testing.assert_allclose(crop.numpy(), goldens[name], atol=1e-3, err_msg=name)  # grey levels, 0 to 255


def test_official_crops() -> None:
    check_cases(dict(np.load(GOLDENS / "augment.npz")), count=3)


@pytest.mark.data
def test_all_official_crops(shared_dir: Path) -> None:
    check_cases(dict(np.load(shared_dir / "goldens" / "dimp" / "augment.npz")), count=len(CASES))


def test_the_papers_set_and_its_order() -> None:
    made = augmentations(
        288,
        relative_shifts=[(0.6, 0.6), (-0.6, 0.6), (0.6, -0.6), (-0.6, -0.6)],
        fliplr=True,
        blurs=[(3, 1), (1, 3), (2, 2)],
        rotations=[10, -10, 45, -45],
    )
    assert len(made) == 13 and made[0] == Augmentation()
    assert [change.shift_yx for change in made[1:5]] == [(86, 86), (-86, 86), (86, -86), (-86, -86)]
    assert made[5].flip and made[6].blur_yx == (3, 1)
    assert [change.rotate for change in made[9:]] == [10, -10, 45, -45]


def test_random_shifts_are_the_generators_draws_and_spare_the_given_ones() -> None:
    options = {"relative_shifts": [(0.5, 0.0)], "fliplr": True, "blurs": [(2, 2)], "random_shift": 1 / 3}
    made = augmentations(288, generator=torch.Generator().manual_seed(4), **options)
    assert made[0].shift_yx == (0, 0) and made[1].shift_yx == (72, 0)
    generator = torch.Generator().manual_seed(4)
    for change in made[2:]:
        expected = (torch.rand(2, generator=generator) - 0.5) * 96
        assert change.shift_yx == tuple(int(value) for value in expected)
    assert made == augmentations(288, generator=torch.Generator().manual_seed(4), **options)


def test_no_global_random_numbers_are_drawn() -> None:
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    augmentations(64, fliplr=True, random_shift=0.3, generator=generator)
    drop_channels(torch.ones(1, 8, 2, 2), 2, 0.2, generator)
    assert torch.equal(torch.get_rng_state(), state)


def test_dropped_channels_are_zero_and_the_others_keep_the_mean() -> None:
    dropped = drop_channels(torch.ones(1, 4000, 2, 2), 3, 0.2, torch.Generator().manual_seed(0))
    assert dropped.shape == (3, 4000, 2, 2)
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert (dropped.amax(dim=(2, 3)) == dropped.amin(dim=(2, 3))).all()  # whole channels
    assert not torch.equal(dropped[0], dropped[1])
