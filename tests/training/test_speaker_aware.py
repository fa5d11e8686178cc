"""Training of the speaker-aware branch."""

import torch

from src.models.config import SpeakerConfig
from src.models.speaker_aware import SpeakerBranch
from src.training import speaker_aware
from src.training.corpus import Corpus, feature_statistics
from src.training.settings import SpeakerAwareTraining
from tests.data.samples import clips, face

CPU = torch.device("cpu")


def test_the_speaker_aware_branch_learns_where_heads_are(tmp_path):
    torch.manual_seed(0)
    data = clips(frames=100)
    corpus = Corpus.of(data, feature_statistics(data), 0, face())
    network = SpeakerBranch(
        SpeakerConfig(
            audio_size=16,
            audio_layers=1,
            feed_forward=32,
            max_length=64,
        )
    )
    settings = SpeakerAwareTraining(
        root_dir=tmp_path,
        write=True,
        steps=60,
        learning_rate=3e-3,
        pose_weight=1.0,
    )
    before = speaker_aware.validate(network, corpus, CPU)["l1"]
    speaker_aware.train(settings, CPU, network, corpus, corpus)
    assert speaker_aware.validate(network, corpus, CPU)["l1"] < 0.5 * before
    state = torch.load(settings.last_checkpoint, weights_only=True)
    assert state["step"] == 60
