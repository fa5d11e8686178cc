"""Speech features to moving landmarks: the release's numbers, and where the default departs."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from src.face import topology
from src.face.geometry import denormalise
from src.models.config import ContentConfig, SpeakerConfig
from src.models.content import ContentBranch
from src.models.loading import MotionModels
from src.models.speaker_aware import SpeakerBranch
from src.motion import blinks, default, displacement, released, smoothing
from src.motion.settings import MotionSettings
from src.speech.features import SpeechFeatures
from src.speech.recording import Recording
from src.speech.windows import windows
from tests.goldens.make_goldens import STEP
from tests.parity import PARITY, fill, goldens, needs_parity


@pytest.fixture(scope="module")
def pipeline() -> dict:
    return goldens("pipeline")


@pytest.fixture(scope="module")
def features(pipeline) -> np.ndarray:
    """Standardised content features of 4.9 s of real speech."""
    return pipeline["features"]


@pytest.fixture(scope="module")
def face(pipeline) -> np.ndarray:
    """Normalised portrait (68, 3), without depth."""
    return np.pad(pipeline["landmarks_normalised"], ((0, 0), (0, 1)))


def models_of(content: ContentBranch, speaker: SpeakerBranch) -> MotionModels:
    """Both branches with filled weights; what comes before them is not used here."""
    fill(content)
    fill(speaker)
    none = np.zeros(0)
    return MotionModels(None, content, speaker, none, none, none, none)


@pytest.fixture(scope="module")
def official() -> MotionModels:
    return models_of(ContentBranch(ContentConfig()), SpeakerBranch(SpeakerConfig()))


@pytest.fixture(scope="module")
def small() -> MotionModels:
    """Narrow networks, for long recordings."""
    content = ContentBranch(ContentConfig(prior_hidden=16, prior=16, lstm_size=16, lstm_layers=1))
    speaker = SpeakerBranch(SpeakerConfig(
        audio_size=16, audio_layers=1, feed_forward=32,
    ))  # fmt: skip
    return models_of(content, speaker)


def long_speech(features: np.ndarray, length: int) -> np.ndarray:
    """Real speech played forwards and backwards until it is long enough, so it has no joints."""
    both = np.concatenate([features, features[::-1]])
    return np.tile(both, (length // len(both) + 1, 1))[:length]


def predict(models, features, pipeline, method=default, **settings) -> np.ndarray:
    recording = Recording(np.zeros(0, np.int16), "")
    speech = SpeechFeatures(features, pipeline["speaker_embedding"], recording)
    face = np.pad(pipeline["landmarks_normalised"], ((0, 0), (0, 1)))
    return method.predict_landmarks(speech, face, models, MotionSettings(**settings))


def test_released_method_gives_the_release_s_numbers(official, features, pipeline):
    """In x and y, on which the depth acts through the content branch alone: by its bias here."""
    content = copy.deepcopy(official.content_branch)
    with torch.no_grad():
        content.fc[0].bias.copy_(torch.from_numpy(pipeline["content_bias"]))
    models = replace(official, content_branch=content)
    predicted = predict(models, features, pipeline, released)
    every = slice(None, None, STEP)
    np.testing.assert_allclose(predicted[every, :, :2], pipeline["landmarks_predicted"], atol=1e-4)
    pixels = denormalise(predicted, float(pipeline["scale"]), pipeline["shift"])
    _, final = released.finish_portrait(pixels, seed=0)
    np.testing.assert_allclose(final[every, :, :2], pipeline["landmarks_final"], atol=0.02)
    np.testing.assert_allclose(final[10, :, :2], pipeline["landmarks_frame10"], atol=0.02)


@needs_parity
def test_released_method_gives_every_number_of_the_release(official):
    whole = dict(np.load(PARITY / "pipeline.npz"))
    mean, std = np.loadtxt(PARITY / "MEAN_STD_AUTOVC_RETRAIN_MEL_AU.txt").reshape(2, 80)
    features = ((whole["autovc_mel"] - mean) / std).astype(np.float32)
    speech = SpeechFeatures(
        features, whole["speaker_embedding"], Recording(np.zeros(0, np.int16), "")
    )
    predicted = released.predict_landmarks(
        speech, whole["landmarks_normalised"], official, MotionSettings()
    )
    np.testing.assert_allclose(predicted, whole["landmarks_predicted"], atol=1e-4)
    back = float(whole["scale"]), whole["shift"]
    pixels = denormalise(whole["landmarks_predicted"], *back)
    np.testing.assert_allclose(pixels, whole["landmarks_denormalised"], atol=1e-3)
    blinking, final = released.finish_portrait(pixels, seed=0)
    np.testing.assert_allclose(blinking, whole["landmarks_blinking_seed0"], atol=1e-3)
    np.testing.assert_allclose(final, whole["landmarks_final"], atol=1e-3)
    _, from_audio = released.finish_portrait(denormalise(predicted, *back), seed=0)
    np.testing.assert_allclose(from_audio, whole["landmarks_final"], atol=0.02)


def test_released_segments_drop_a_short_rest():
    assert released.segments(287) == [slice(0, 287)]
    assert released.segments(1024 + 9) == [slice(0, 512), slice(512, 1024)]
    assert released.segments(512 + 10) == [slice(0, 512), slice(512, 522)]
    assert released.segments(5) == [slice(0, 5)]


@pytest.mark.parametrize("length", [1, 511, 512, 513, 700, 900, 1024, 5000])
def test_blended_segments_cover_every_frame_with_weight_one(length):
    total = np.zeros(length)
    pieces = displacement.blended_segments(length, 512)
    for piece, weight in pieces:
        assert piece.stop - piece.start == len(weight) <= 512
        total[piece] += weight
        assert np.abs(np.diff(weight)).max(initial=0) < 0.02
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert len(pieces) <= 1 + length // 384


@pytest.mark.parametrize("length", [1, 2, 5, 17, 60, 287, 513, 1500])
def test_default_gives_one_frame_for_each_audio_frame(small, features, pipeline, length):
    predicted = predict(small, long_speech(features, length), pipeline)
    assert predicted.shape == (length, 68, 3) and np.isfinite(predicted).all()
    _, final = default.finish_portrait(predicted, seed=0)
    assert final.shape == (length, 68, 3) and np.isfinite(final).all()


def test_default_has_no_seams_where_the_release_jumps(small, features, pipeline):
    speech = long_speech(features, 3 * 512)
    by_release = predict(small, speech, pipeline, released, amp_pos=1.0)
    by_default = predict(small, speech, pipeline, amp_pos=1.0)
    nose = [30]

    def seam_over_typical(landmarks: np.ndarray) -> float:
        speed = np.linalg.norm(np.diff(landmarks[:, nose], axis=0), axis=-1).max(1)
        at_seams = max(speed[seam - 4 : seam + 4].max() for seam in (512, 1024))
        return at_seams / np.percentile(speed, 99)

    assert seam_over_typical(by_default) < 1.2
    assert seam_over_typical(by_release) > 1.5, "else the test would not see a seam"


def test_calibration_of_a_long_voice_does_not_depend_on_where_a_segment_ends(small, features, face):
    speech = windows(long_speech(features, 1200))
    settings = MotionSettings()

    def lips(windows: np.ndarray) -> np.ndarray:
        moves = displacement.content_output(small.content_branch, windows, face)
        return default.amplify_lips(default.calibrate(moves), settings)

    whole = lips(speech)
    raw = whole - whole[0]
    for batch in (slice(0, 512), slice(700, 1200)):
        part = lips(speech[batch])
        np.testing.assert_allclose(part - part[0], raw[batch] - raw[batch][0], atol=1e-5)


def test_amplifiers_act_on_what_they_name(small, features, face, pipeline):
    speech = windows(features)

    moves = default.calibrate(displacement.content_output(small.content_branch, speech, face))

    def lips(x: float, y: float) -> np.ndarray:
        return default.amplify_lips(moves.copy(), MotionSettings(amp_lip_x=x, amp_lip_y=y))

    one, more = lips(1, 1), lips(3, 0.5)
    np.testing.assert_allclose(more[:, 48:, 0], 3 * one[:, 48:, 0], rtol=1e-6)
    np.testing.assert_allclose(more[:, 48:, 1], 0.5 * one[:, 48:, 1], rtol=1e-6)
    np.testing.assert_array_equal(more[:, :48], one[:, :48])
    still, half, full = (predict(small, features, pipeline, amp_pos=a) for a in (0, 0.5, 1))
    np.testing.assert_allclose((full - still)[:, :27], 2 * (half - still)[:, :27], atol=1e-5)
    assert np.ptp(still[:, 17:27], axis=0).max() < np.ptp(full[:, 17:27], axis=0).max()


def test_speaker_branch_moves_the_head_but_not_the_lips_apart(small, features, pipeline):
    embedding = pipeline["speaker_embedding"]
    moved = default.speaker_displacement(small.speaker_branch, windows(features), embedding)
    for upper, lower in topology.OUTER_LIP_PAIRS + topology.INNER_LIP_PAIRS:
        gap = np.abs(moved[:, upper] - moved[:, lower]).max()
        assert gap < 0.02 * np.abs(moved).max()  # a hundredth of at most twice the motion
    assert moved[:, 30].std(0).max() > 1e-3


def mouth(gaps: np.ndarray) -> np.ndarray:
    """(T, 68, 3) lips 0.2 thick with the given inner gaps; the corners stay."""
    face = np.zeros((len(gaps), 68, 3), np.float32)
    for upper, lower in topology.INNER_LIP_PAIRS:
        face[:, upper, 1], face[:, lower, 1] = -gaps / 2, gaps / 2
    for upper, lower in ((50, 58), (51, 57), (52, 56)):
        face[:, upper, 1], face[:, lower, 1] = -0.2 - gaps / 2, 0.2 + gaps / 2
    x = np.array([-0.5, -0.25, 0, 0.25, 0.5, 0.25, 0, -0.25], np.float32)
    face[:, topology.INNER_LIPS, 0] = x
    return face


def test_crossed_lips_meet_without_a_jump_and_stay_thick():
    gaps = np.linspace(0.2, -0.2, 41, dtype=np.float32)
    lips = mouth(gaps)
    before = lips.copy()
    default.part_lips(lips)
    apart = gaps >= 0
    np.testing.assert_array_equal(lips[apart], before[apart])
    np.testing.assert_allclose(lips[~apart][:, 62, 1], lips[~apart][:, 66, 1], atol=1e-6)
    np.testing.assert_allclose(lips[:, 62, 1] - lips[:, 51, 1], 0.2, atol=1e-6)
    assert np.abs(np.diff(lips, axis=0)).max() <= np.abs(np.diff(before, axis=0)).max() + 1e-6


def test_released_crossed_lips_take_the_thickness_of_the_frame_before():
    lips = mouth(np.array([0.1, -0.1, -0.1], np.float32))
    lips[1, 51, 1] -= 0.3
    released.part_lips(lips)
    np.testing.assert_allclose(lips[1:, 62, 1], 0, atol=1e-7)
    np.testing.assert_allclose(lips[1:, 51, 1], -0.2, atol=1e-6)


def test_smooth_keeps_cubics_and_takes_any_length():
    time = np.linspace(0, 1, 40)
    cubic = np.stack([time**3 - time, 2 * time**2], axis=1)
    np.testing.assert_allclose(smoothing.smooth(cubic, 15, 3), cubic, atol=1e-12)
    for length in range(1, 8):
        assert smoothing.smooth(cubic[:length], 15, 3).shape == (length, 2)


def test_released_blinks_follow_the_seed():
    frames = [blinks.blink_frames(n, np.random.RandomState(0).randint) for n in (500, 45)]
    assert frames == [[30, 164, 301, 444], []]


def test_blinks_close_fully_follow_the_head_and_leave_the_global_generator_alone():
    length = 400
    face = np.zeros((length, 68, 3), np.float32)
    face[:, :, 0] = np.arange(length)[:, None]  # the head slides a pixel a frame
    face[:, [lower for _, lower in topology.EYELID_PAIRS], 1] = 8
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    shut, again, others = (
        blinks.blink_frames(length - blinks.HELD, np.random.default_rng(seed).integers)
        for seed in (3, 3, 4)
    )
    assert shut == again != others
    assert np.array_equal(np.random.get_state()[1], state)
    assert shut[0] == 30 and all(90 <= b - a < 150 for a, b in zip(shut, shut[1:], strict=False))
    blinking = blinks.add_blinks(face, shut)
    for frame in shut:
        held = blinking[frame : frame + 3]
        np.testing.assert_allclose(held[:, 37, 1], 6, atol=1e-5)
        np.testing.assert_allclose(held[:, 41, 1], 6, atol=1e-5)
    np.testing.assert_array_equal(blinking[:, :, 0], face[:, :, 0])
    gap = blinking[:, 41, 1] - blinking[:, 37, 1]
    assert gap.min() > -1e-4 and gap[: shut[0] - 10].min() == 8 and gap[-1] == 8
    assert np.abs(np.diff(gap)).max() < 0.2 * 8


def test_eyes_close_in_the_finished_landmarks_and_only_there(small, features, pipeline):
    predicted = predict(small, features, pipeline, amp_pos=0.1)
    _, final = default.finish_portrait(predicted, seed=0)
    for landmarks, blinking in ((final, True), (predicted, False)):
        gap = np.linalg.norm(landmarks[:, 41, :2] - landmarks[:, 37, :2], axis=-1)
        assert (gap < 0.02 * np.median(gap)).any() == blinking


def test_ten_minutes_run_in_batches(small, features, pipeline):
    import tracemalloc

    speech = long_speech(features, 37_500)
    tracemalloc.start()
    predicted = predict(small, speech, pipeline)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert predicted.shape == (37_500, 68, 3) and predicted.dtype == np.float32
    assert peak < 400e6, f"{peak / 1e6:.0f} MB"


def test_rest_is_the_closed_mouth_also_for_the_upper_lip():
    moves = np.zeros((40, 68, 3), np.float32)
    opened = np.where(np.arange(40) % 4 == 0, 0.1, 0.0)
    moves[:, 65:68, 1] = 0.3 + opened[:, None]
    moves[:, 61:64, 1] = 0.3 - opened[:, None]
    calibrated = default.calibrate(moves)
    assert np.abs(calibrated[1]).max() < 1e-6
    assert calibrated[0, 66, 1] == pytest.approx(0.1, abs=1e-6)
    assert calibrated[0, 62, 1] == pytest.approx(-0.1, abs=1e-6)
    release = released.calibrate(moves)
    assert release[1, 62, 1] > 0.04  # the upper lip hangs down where the mouth is closed


def test_rest_is_the_mean_of_two_fifths_of_the_frames_and_of_one_where_there_are_few():
    moves = np.zeros((10, 68, 3), np.float32)
    moves[:, 65:68, 1] = np.array([0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4, 0.5, 1.0])[:, None]
    calibrated = default.calibrate(moves)
    # The four least gaps are 0.1, 0.2, 0.3 and 0.4.
    assert calibrated[:, 66, 1] == pytest.approx(moves[:, 66, 1] - 0.25, abs=1e-6)
    two = default.calibrate(moves[:2])
    assert two[:, 66, 1] == pytest.approx([0.8, 0.0], abs=1e-6)


def test_released_method_with_a_network_of_short_sequences():
    torch.manual_seed(0)
    network = SpeakerBranch(
        SpeakerConfig(
            audio_size=8,
            audio_layers=1,
            feed_forward=8,
            max_length=40,
        )
    ).eval()
    speech = np.random.default_rng(0).normal(size=(530, 18, 80)).astype(np.float32)
    moved = released.speaker_displacement(network, speech, np.ones(256) / 16)
    assert moved.shape == (530, 68, 3) and np.isfinite(moved).all()
    # The rest that the release drops is dropped here, too.
    short = released.speaker_displacement(network, speech[:515], np.ones(256) / 16)
    assert short.shape == (512, 68, 3)
