"""Speech features: windows, and the speaker embedding against the release's numbers."""

import numpy as np

from src.speech.windows import windows
from tests.parity import needs_parity


@needs_parity
def test_the_speaker_embedding_is_the_releases(parity):
    from thirdparty.speaker_encoder import embed_speaker

    embedding = embed_speaker(parity["wav_normalised"])
    assert np.abs(embedding - parity["speaker_embedding_normalised_wav"]).max() < 1e-4


def test_windows_look_ahead_as_released_and_back_with_a_lead():
    frames = np.arange(40.0)[:, None] * np.ones((1, 80))
    ahead = windows(frames)
    assert ahead.shape == (40, 18, 80)
    assert ahead[3, :, 0].tolist() == list(range(3, 21))
    assert ahead[39, :, 0].tolist() == [39.0] * 18
    back = windows(frames, lead=11)
    assert back[20, 11, 0] == 20
    assert back[0, :12, 0].tolist() == [0.0] * 12
