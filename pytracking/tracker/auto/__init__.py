"""The tracker to take when you do not want to choose.

Which one that is, is a judgement on measured figures (docs/performance.md), so it stands here, once.
"""

ALIASES = {"default": "edcf:default"}
