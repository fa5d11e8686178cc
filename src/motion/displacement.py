"""The two branches run over a whole recording: windows of speech features to displacements."""

from __future__ import annotations

import numpy as np
import torch

from src.face.topology import INNER_LIP_PAIRS, LANDMARK_COUNT, OUTER_LIP_PAIRS
from src.models.speaker_aware import EMBEDDING_GAIN, SpeakerBranch
from src.motion.smoothing import raised_cosine

BATCH = 512
"""Windows that go through the content branch at once: bounds the memory."""

OVERLAP = 128
"""Windows over which one sequence of the speaker-aware branch blends into the next."""

SPEAKER_SMOOTHING = (31, 3)
"""Savitzky-Golay window in frames and order, for the speaker-aware displacement (release)."""

MOUTH_CLOSING = 0.99
"""Fraction by which the speaker-aware branch's lips are brought together (published release):
lips belong to the content branch."""


def content_output(branch: torch.nn.Module, windows: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Output of the content branch, neither calibrated nor amplified.

    Args:
        branch: in eval mode.
        windows: (T, 18, 80) standardised features.
        face: (68, 3) normalised still face.

    Returns:
        (T, 68, 3) float32 displacements in normalised coordinates.
    """
    device = next(branch.parameters()).device
    still = torch.tensor(face, dtype=torch.float32, device=device).reshape(1, -1)
    batches = []
    with torch.inference_mode():
        for start in range(0, len(windows), BATCH):
            batch = torch.tensor(windows[start : start + BATCH], dtype=torch.float32, device=device)
            batches.append(branch(batch, still).cpu().numpy())
    return np.concatenate(batches).reshape(-1, LANDMARK_COUNT, 3)


def speaker_output(
    branch: SpeakerBranch, windows: np.ndarray, embedding: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Output of the speaker-aware branch for windows in a given order, in blended sequences.

    Args:
        branch: in eval mode.
        windows: (T, 18, 80) standardised features.
        embedding: (256,) speaker embedding of unit length.
        order: (N,) indices of windows.

    Returns:
        (N, 68, 3) float32 displacements in normalised coordinates.
    """
    device = next(branch.parameters()).device
    speaker = EMBEDDING_GAIN * torch.tensor(embedding, dtype=torch.float32, device=device)[None]
    output = np.zeros((len(order), 3 * LANDMARK_COUNT), np.float32)
    for piece, weight in blended_segments(len(order), branch.config.max_length):
        with torch.inference_mode():
            sequence = torch.tensor(windows[order[piece]], dtype=torch.float32, device=device)
            output[piece] += weight[:, None] * branch(sequence, speaker)[0].cpu().numpy()
    return output.reshape(-1, LANDMARK_COUNT, 3)


def keep_lips_closed(displacement: np.ndarray) -> np.ndarray:
    """Bring facing lip points of displacements (T, 68, 3) together, in place; returns them."""
    for upper, lower in OUTER_LIP_PAIRS + INNER_LIP_PAIRS:
        middle = 0.5 * (displacement[:, upper] + displacement[:, lower])
        for point in (upper, lower):
            displacement[:, point] += MOUTH_CLOSING * (middle - displacement[:, point])
    return displacement


def blended_segments(length: int, longest: int) -> list[tuple[slice, np.ndarray]]:
    """Segments that overlap by at least `OVERLAP` or a quarter, with weights that sum to one.

    Args:
        length: windows of the recording.
        longest: windows that a segment may have.

    Returns:
        (segment, (segment length,) float32 weights) in order of time.
    """
    if length <= longest:
        return [(slice(0, length), np.ones(length, np.float32))]
    overlap = min(OVERLAP, longest // 4)
    count = -(-(length - overlap) // (longest - overlap))
    pieces = []
    total = np.zeros(length, np.float32)
    for index, start in enumerate(np.linspace(0, length - longest, count).round().astype(int)):
        weight = np.ones(longest, np.float32)
        if index > 0:
            weight[:overlap] = raised_cosine(overlap)
        if index < count - 1:
            weight[longest - overlap :] = 1 - raised_cosine(overlap)
        piece = slice(int(start), int(start) + longest)
        total[piece] += weight
        pieces.append((piece, weight))
    # Rounded starts overlap by more than is blended, and three at a time in a short recording.
    return [(piece, weight / total[piece]) for piece, weight in pieces]
