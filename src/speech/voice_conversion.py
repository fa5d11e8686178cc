"""Voice conversion by AutoVC: an utterance's words in one fixed voice."""

import numpy as np
import torch

from src.models.dimensions import FRAME_MULTIPLE
from src.speech.f0 import f0_one_hot

CHUNK = 4096  # frames converted at a time


def convert_voice(
    generator: torch.nn.Module,
    mel: np.ndarray,
    bins: np.ndarray,
    embedding: np.ndarray,
    target_embedding: np.ndarray,
) -> np.ndarray:
    """Convert an utterance to the voice of a target speaker: log-mel, float32 (T, 80).

    Args:
        generator: AutoVC in eval mode, on any device.
        mel: (T, 80) log-mel.
        bins: (T,) F0 bins.
        embedding: (256,) of the loudness-normalised recording's speaker.
        target_embedding: (256,) of the target speaker.
    """
    device = next(generator.parameters()).device
    speakers = np.stack([embedding, target_embedding]).astype(np.float32)
    source, target = torch.from_numpy(speakers).to(device).split(1)
    converted = []
    with torch.inference_mode():
        for start in range(0, len(mel), CHUNK):
            chunk = mel[start : start + CHUNK]
            padding = ((0, -len(chunk) % FRAME_MULTIPLE), (0, 0))
            one_hot = f0_one_hot(bins[start : start + CHUNK])
            x = torch.from_numpy(np.pad(chunk, padding))[None].to(device)
            f0 = torch.from_numpy(np.pad(one_hot, padding))[None].to(device)
            _, refined, _ = generator(x, source, target, f0)
            converted.append(refined[0, : len(chunk)].float().cpu().numpy())
    return np.concatenate(converted)
