"""Plain numbers that both the options of the entry scripts and the modules behind them start from.

Nothing is imported here, so that --help stays quick.
"""

AMP_LIP_X = 2.0
AMP_LIP_Y = 2.0
"""How much more than predicted the lips move (published release)."""

AMP_POS = 0.5
"""How much of the predicted motion of head and face is used (published release)."""

LARGEST_SIDE = 1024
"""Pixels of a frame; larger pictures shrink to it."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Of files that are looked for as pictures."""
