"""Speech features: windows, logging, and the speaker embedding against the release's numbers."""

from pathlib import Path

import numpy as np

from src.io.audio import SAMPLE_RATE, read_audio
from src.speech.features import Recording, speech_features, windows
from tests.parity import needs_parity

ROOT = Path(__file__).parents[2]


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


def test_stages_are_logged_for_a_long_recording_only(caplog):
    from src.models.loading import load_motion_models

    networks = load_motion_models(ROOT / "examples" / "ckpt", {}, "cpu")
    samples = read_audio(ROOT / "examples" / "welcome_slt.wav")
    short, long = (
        Recording(np.resize(samples, seconds * SAMPLE_RATE), False, "") for seconds in (2, 60)
    )
    with caplog.at_level("INFO", "src.speech.features"):
        caplog.clear()
        speech_features(short, networks)
        assert not caplog.messages
        speech_features(long, networks)
    stages = ("speaker embedding", "spectrogram and F0", "voice conversion")
    assert caplog.messages == [f"speech features: {stage}" for stage in stages]
