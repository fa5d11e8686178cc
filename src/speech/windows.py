"""Windows of speech features, the inputs of the landmark networks."""

from __future__ import annotations

import numpy as np

from src.models.dimensions import WINDOW


def windows(features: np.ndarray, lead: int = 0) -> np.ndarray:
    """View (T, WINDOW, 80) of features (T, 80): a window for each frame.

    The first and the last frame are repeated at the ends.

    Args:
        features: (T, 80).
        lead: number of frames in a window that precede the frame it stands for. The windows of
            the published networks begin at that frame: 0.
    """
    padded = np.pad(features, ((lead, WINDOW - 1 - lead), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0).swapaxes(1, 2)
