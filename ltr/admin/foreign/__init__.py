"""Reading checkpoints that other programs wrote with `torch.save`, as data. Nothing in them is executed."""

SUFFIXES = (".pth.tar", ".pth", ".pt", ".tar", ".ckpt")  # the endings that such files are given
