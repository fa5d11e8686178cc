"""A voice moves a face: windows of speech features become landmarks (paper section 4).

Arrays go in and out. Two ways run here. *As released* repeats the published release step for step,
with its segments that are calibrated one by one. The default mends it: one calibration over the
whole voice, segments that overlap and fade into each other, lips that cross are parted without a
jump, lids that blink ride on the moving head, and every window becomes a landmark frame.
"""

import numpy as np
import torch
from scipy.signal import savgol_filter

from src.face.geometry import denormalise, inner_lip_area, inner_lip_gap
from src.face.topology import (
    EYELID_PAIRS,
    FACE_WITHOUT_LIPS,
    INNER_LIP_PAIRS,
    LANDMARK_COUNT,
    LIPS,
    NOSE_BRIDGE_TOP,
    OUTER_LIP_PAIRS,
)
from src.models.content import ContentBranch
from src.models.speaker_aware import EMBEDDING_GAIN, SpeakerBranch
from src.settings import AMP_LIP_X, AMP_LIP_Y, AMP_POS

BATCH = 512
"""Windows that go through a network at once: bounds the memory."""

SEGMENT = 512
"""Windows that the release treats together."""

SHORTEST_SEGMENT = 10
"""Windows; the release drops a rest that is shorter."""

FADE = 128
"""Windows over which one sequence of the speaker-aware branch fades into the next."""

SPEAKER_SMOOTHING = (31, 3)
"""Savitzky-Golay window in frames and order, for the speaker-aware displacement."""

JOINED_SMOOTHING = (5, 3)
FINAL_SMOOTHING = (15, 3)
FINAL_LIP_SMOOTHING = (5, 3)

REST_SHARE = 0.4
"""Share of the frames, those with the mouth shut most, whose mean is the rest position.

More leaves lips shut too long, fewer leave them ajar in a p, b or m.
"""

MIRRORED = 48
"""Windows that the default repeats backwards before the first and after the last one."""

MOUTH_CLOSING = 0.99
"""How far the speaker-aware branch's lips are brought together: speech is the content's matter."""

THICKNESS_LEADERS = {
    **{49: 60, 50: 61, 51: 62, 52: 63, 53: 64},
    **{59: 60, 58: 67, 57: 66, 56: 65, 55: 64},
}
"""The inner lip point from which the thickness of the lip at an outer one is measured."""

PARTING_FOLLOWERS = {
    (61, 67): ((49, 59, 0.5), (50, 58, 1.0)),
    (62, 66): ((51, 57, 1.0),),
    (63, 65): ((52, 56, 1.0), (53, 55, 0.5)),
}
"""Outer lip points (above, below, share) that move along when crossed inner ones are parted."""

FIRST_BLINK = 30
"""Frame at which the eyes are shut first; frames are 1/62.5 s."""

BLINK_PAUSE = 60
BLINK_PAUSE_RANDOM = (30, 90)
"""Frames from one shut to the next: the sum of both, the second drawn from [low, high)."""

BLINK_CLOSING = 10
BLINK_HELD = 3
BLINK_OPENING = 15
"""Frames. As released, lids are never held; at 25 pictures a second that may miss the shut eye."""

UPPER_LID_SHARE = 0.75
"""Share of the way that the upper lid goes; the lower one goes the rest."""

EYE_NARROWING = 0.05
"""How far the release brings all lids together in every frame, blink or not."""


def smooth(values: np.ndarray, window: int, order: int) -> np.ndarray:
    """Savitzky-Golay filter along the first axis.

    Args:
        values: (T, ...) in any unit.
        window: frames; taken down to the largest odd number that T allows.
        order: of the polynomial.

    Returns:
        The shape and dtype of `values`; a copy where T is too short to fit the polynomial.
    """
    window = min(window, len(values))
    window -= window % 2 == 0
    if window <= order:
        return np.array(values)
    return savgol_filter(values, window, order, axis=0)


def predicted_displacement(
    network: ContentBranch,
    windows: np.ndarray,
    face: np.ndarray,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """What the branch itself says, (T, 204) float32; the arguments of `content_displacement`."""
    static = torch.from_numpy(np.asarray(face, np.float32).reshape(1, -1)).to(device)
    batches = []
    with torch.inference_mode():
        for start in range(0, len(windows), BATCH):
            batch = _tensor(windows[start : start + BATCH], device)
            batches.append(network(batch, static).cpu().numpy())
    return np.concatenate(batches)


def content_displacement(
    network: ContentBranch,
    windows: np.ndarray,
    face: np.ndarray,
    *,
    amp_lip_x: float = AMP_LIP_X,
    amp_lip_y: float = AMP_LIP_Y,
    as_released: bool = False,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """What is said moves the lips: calibrated and amplified displacement.

    Args:
        network: the content branch in eval mode, on `device`.
        windows: (T, 18, 80) standardised features; a view will do.
        face: (68, 3) normalised static face.
        amp_lip_x: factor on x of the lips.
        amp_lip_y: factor on y of the lips.
        as_released: calibrate each segment by itself, and drop a short rest.
        device: where the network is.

    Returns:
        (T, 68, 3) float32 in normalised coordinates, T less a dropped rest if as released.
    """
    raw = predicted_displacement(network, windows, face, device)
    if as_released:
        displacement = np.concatenate([calibrate(raw[piece]) for piece in segments(len(raw))])
    else:
        displacement = calibrate_at_rest(raw)
    displacement = displacement.reshape(-1, LANDMARK_COUNT, 3)
    displacement[:, LIPS, 0] *= amp_lip_x
    displacement[:, LIPS, 1] *= amp_lip_y
    return displacement


def calibrate(displacement: np.ndarray) -> np.ndarray:
    """Take each coordinate's rest position out: the mean of its smaller half over time.

    Args:
        displacement: (T, D).

    Returns:
        (T, D), dtype kept.
    """
    half = max(len(displacement) // 2, 1)
    smaller = np.partition(displacement, half - 1, axis=0)[:half]
    return displacement - smaller.mean(axis=0)


def calibrate_at_rest(displacement: np.ndarray) -> np.ndarray:
    """Take the rest position out: the mean face of those frames with the mouth shut most.

    They are `REST_SHARE` of all. The release takes each coordinate's smaller half by itself, which
    for the upper lip, whose y is smallest when it is raised, is the open mouth.

    Args:
        displacement: (T, 204).

    Returns:
        (T, 204), dtype kept.
    """
    count = max(int(REST_SHARE * len(displacement)), 1)
    gap = inner_lip_gap(displacement.reshape(-1, LANDMARK_COUNT, 3))
    return displacement - displacement[np.argsort(gap)[:count]].mean(axis=0)


def speaker_displacement(
    network: SpeakerBranch,
    windows: np.ndarray,
    embedding: np.ndarray,
    *,
    amp_pos: float = AMP_POS,
    as_released: bool = False,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Who speaks moves the head: smoothed displacement of the whole face, mouth kept shut.

    Args:
        network: the speaker-aware branch in eval mode, on `device`.
        windows: (T, 18, 80) standardised features; a view will do.
        embedding: (256,) speaker embedding of unit length.
        amp_pos: factor on the displacement.
        as_released: segments side by side, each smoothed by itself, a short rest dropped.
        device: where the network is.

    Returns:
        (T, 68, 3) float32 in normalised coordinates, T less a dropped rest if as released.
    """
    speaker = EMBEDDING_GAIN * _tensor(np.asarray(embedding).reshape(1, -1), device)

    def faded(order: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(order), 3 * LANDMARK_COUNT), np.float32)
        for piece, weight in fading_segments(len(order), network.max_length):
            with torch.inference_mode():
                batch = _tensor(windows[order[piece]], device)
                sequence = network(batch, speaker)[0].cpu().numpy()
            whole[piece] += weight[:, None] * sequence
        return whole

    if as_released:
        smoothed = []
        for piece in segments(len(windows)):
            # The release asks for fewer frames than there are, so one is always left out.
            window = min(piece.stop - piece.start - 1, SPEAKER_SMOOTHING[0])
            # The published network takes a whole segment at once; a smaller one may not.
            sequence = faded(np.arange(piece.start, piece.stop))
            smoothed.append(smooth(sequence, window, SPEAKER_SMOOTHING[1]))
        displacement = np.concatenate(smoothed)
    else:
        # Mirrored at both ends, so that the head neither starts nor stops with a jerk.
        order = np.pad(np.arange(len(windows)), MIRRORED, mode="symmetric")
        displacement = smooth(faded(order), *SPEAKER_SMOOTHING)[MIRRORED:-MIRRORED]
    displacement = displacement.reshape(-1, LANDMARK_COUNT, 3)
    for upper, lower in OUTER_LIP_PAIRS + INNER_LIP_PAIRS:
        middle = 0.5 * (displacement[:, upper] + displacement[:, lower])
        for point in (upper, lower):
            displacement[:, point] += MOUTH_CLOSING * (middle - displacement[:, point])
    return amp_pos * displacement


def segments(length: int) -> list[slice]:
    """The release's segments of `SEGMENT` windows side by side, without a short rest.

    Where the whole voice is shorter than `SHORTEST_SEGMENT`, it is kept: no video is no answer.
    """
    pieces = [slice(s, min(s + SEGMENT, length)) for s in range(0, length, SEGMENT)]
    if len(pieces) > 1 and length - pieces[-1].start < SHORTEST_SEGMENT:
        pieces.pop()
    return pieces


def fading_segments(length: int, longest: int) -> list[tuple[slice, np.ndarray]]:
    """Segments that overlap by at least `FADE` or a quarter, with weights that add up to one.

    Args:
        length: windows of the voice.
        longest: windows that a segment may have.

    Returns:
        (piece, (piece length,) float32 weights) in order of time.
    """
    if length <= longest:
        return [(slice(0, length), np.ones(length, np.float32))]
    overlap = max(min(FADE, longest // 4), 1)
    count = -(-(length - overlap) // (longest - overlap))
    starts = np.linspace(0, length - longest, count).round().astype(int)
    pieces = []
    total = np.zeros(length, np.float32)
    for index, start in enumerate(starts):
        weight = np.ones(longest, np.float32)
        if index > 0:
            weight[:overlap] = _rise(overlap)
        if index < count - 1:
            weight[longest - overlap :] = 1 - _rise(overlap)
        piece = slice(int(start), int(start) + longest)
        total[piece] += weight
        pieces.append((piece, weight))
    # Rounded starts overlap by more than is faded, and three at a time in a short voice.
    return [(piece, weight / total[piece]) for piece, weight in pieces]


def combine(
    face: np.ndarray, speaker: np.ndarray, content: np.ndarray, *, as_released: bool = False
) -> np.ndarray:
    """Add both displacements to the static face, and part lips that have crossed.

    Args:
        face: (68, 3) normalised static face.
        speaker: (T, 68, 3) displacement by who speaks.
        content: (T, 68, 3) displacement by what is said.
        as_released: part the lips as the release does, segment by segment.

    Returns:
        (T, 68, 3) float32 normalised landmarks.
    """
    landmarks = np.asarray(face, np.float32) + speaker + content
    if not as_released:
        part_lips(landmarks)
        return landmarks
    for piece in segments(len(landmarks)):
        part_lips_as_released(landmarks[piece])
    return landmarks


def part_lips(landmarks: np.ndarray) -> None:
    """Where an upper inner lip point is below its lower one, let both meet halfway, in place.

    The outer lips move along, so that each lip keeps its thickness; the correction grows from zero
    with the crossing, so nothing jumps.

    Args:
        landmarks: (T, 68, 3), y down.
    """
    for (upper, lower), followers in PARTING_FOLLOWERS.items():
        half = 0.5 * np.maximum(landmarks[:, upper, 1] - landmarks[:, lower, 1], 0)
        landmarks[:, upper, 1] -= half
        landmarks[:, lower, 1] += half
        for above, below, share in followers:
            landmarks[:, above, 1] -= share * half
            landmarks[:, below, 1] += share * half


def part_lips_as_released(landmarks: np.ndarray) -> None:
    """Part crossed lips of one segment in place: (T, 68, 3), y down.

    Frames whose inner lips enclose a negative area get pairs that meet in the middle, and lips as
    thick as in the frame before (the first frame: outer lips as they are).
    """
    for frame in np.flatnonzero(inner_lip_area(landmarks) < 0):
        current, before = landmarks[frame], landmarks[max(frame - 1, 0)]
        for upper, lower in INNER_LIP_PAIRS:
            middle = 0.5 * (current[upper] + current[lower])
            current[upper] = current[lower] = middle
        for outer, inner in THICKNESS_LEADERS.items():
            current[outer, 1] = current[inner, 1] + (before[outer, 1] - before[inner, 1])


def smooth_joined(landmarks: np.ndarray) -> np.ndarray:
    """Smooth (T, 68, 3) landmarks of the whole voice, the bridge of the nose rebuilt first."""
    joined = np.array(landmarks)
    joined[:, NOSE_BRIDGE_TOP] = 2 * joined[:, NOSE_BRIDGE_TOP + 1] - joined[:, NOSE_BRIDGE_TOP + 2]
    return smooth(joined, *JOINED_SMOOTHING)


def predict_landmarks(
    content: ContentBranch,
    speaker: SpeakerBranch,
    content_windows: np.ndarray,
    speaker_windows: np.ndarray,
    embedding: np.ndarray,
    face: np.ndarray,
    *,
    amp_lip_x: float = AMP_LIP_X,
    amp_lip_y: float = AMP_LIP_Y,
    amp_pos: float = AMP_POS,
    as_released: bool = False,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """A voice and a face to moving landmarks.

    Args:
        content: the content branch in eval mode, on `device`.
        speaker: the speaker-aware branch in eval mode, on `device`.
        content_windows: (T, 18, 80) standardised features, cut as the content branch wants them.
        speaker_windows: the same, cut as the speaker-aware branch wants them. As released, leave
            the last 18 windows of the voice out, which the release loses.
        embedding: (256,) speaker embedding of unit length.
        face: (68, 3) normalised static face.
        amp_lip_x: factor on x of the lips.
        amp_lip_y: factor on y of the lips.
        amp_pos: factor on the speaker-aware displacement.
        as_released: the release step for step.
        device: where the networks are.

    Returns:
        (T, 68, 3) float32 normalised landmarks at 62.5 frames a second; as released, less a rest of
        under 10 windows.

    Raises:
        ValueError: no windows, or not as many for one network as for the other.
    """
    if len(content_windows) != len(speaker_windows) or len(content_windows) == 0:
        raise ValueError(f"{len(content_windows)} and {len(speaker_windows)} windows")
    by_speaker = speaker_displacement(
        speaker,
        speaker_windows,
        embedding,
        amp_pos=amp_pos,
        as_released=as_released,
        device=device,
    )
    by_content = content_displacement(
        content,
        content_windows,
        face,
        amp_lip_x=amp_lip_x,
        amp_lip_y=amp_lip_y,
        as_released=as_released,
        device=device,
    )
    return smooth_joined(combine(face, by_speaker, by_content, as_released=as_released))


def blink_frames(length: int, seed: int, *, as_released: bool = False) -> list[int]:
    """Frames at which the eyes are shut, for `length` frames and a seed.

    Only blinks that end within the length are given.
    """
    if as_released:
        legacy = np.random.RandomState(seed)  # the stream of np.random.seed
        pause, last = legacy.randint, length - BLINK_OPENING
    else:
        pause, last = np.random.default_rng(seed).integers, length - BLINK_OPENING - BLINK_HELD
    frames = []
    frame = FIRST_BLINK
    while frame < last:
        frames.append(frame)
        frame += BLINK_PAUSE + int(pause(*BLINK_PAUSE_RANDOM))
    return frames


def add_blinks(landmarks: np.ndarray, shut: list[int]) -> np.ndarray:
    """Close and open the lids around the given frames, wherever the head moves meanwhile.

    Args:
        landmarks: (T, 68, 3) in any unit.
        shut: frames at which the lids have met; they stay so for `BLINK_HELD` frames.

    Returns:
        (T, 68, 3), a new array of the same dtype.
    """
    closed = np.zeros(len(landmarks), np.float32)
    falling = _rise(BLINK_CLOSING + 1)[1:]
    rising = 1 - _rise(BLINK_OPENING + 1)[1:]
    blink = np.concatenate([falling, np.ones(BLINK_HELD - 1, np.float32), rising])
    for frame in shut:
        start = frame - BLINK_CLOSING + 1
        closed[start : start + len(blink)] = blink
    blinking = np.array(landmarks)
    for upper, lower in EYELID_PAIRS:
        gap = (landmarks[:, lower] - landmarks[:, upper]) * closed[:, None]
        blinking[:, upper] += UPPER_LID_SHARE * gap
        blinking[:, lower] -= (1 - UPPER_LID_SHARE) * gap
    return blinking


def add_blinks_as_released(landmarks: np.ndarray, shut: list[int]) -> np.ndarray:
    """Narrow the eyes of every frame, and blink as the release does.

    Its lids travel between places they have in three frames, so they lag behind a moving head.

    Args:
        landmarks: (T, 68, 3) in any unit.
        shut: frames at which the lids meet.

    Returns:
        (T, 68, 3), a new array of the same dtype.
    """
    blinking = np.array(landmarks)
    for upper, lower in EYELID_PAIRS:
        gap = landmarks[:, lower] - landmarks[:, upper]
        blinking[:, upper] += EYE_NARROWING * gap
        blinking[:, lower] -= EYE_NARROWING * gap
    for frame in shut:
        for upper, lower in EYELID_PAIRS:
            gap = blinking[frame, lower] - blinking[frame, upper]
            blinking[frame, upper] += UPPER_LID_SHARE * gap
            blinking[frame, lower] = blinking[frame, upper]
        lids = [point for pair in EYELID_PAIRS for point in pair]
        shut_lids = blinking[frame, lids]
        before = blinking[frame - BLINK_CLOSING, lids]
        after = blinking[frame + BLINK_OPENING, lids]
        for step in range(1, BLINK_CLOSING):
            share = step / BLINK_CLOSING
            at = frame - BLINK_CLOSING + step
            blinking[at, lids] = (1 - share) * before + share * shut_lids
        for step in range(1, BLINK_OPENING):
            share = (step + 1) / BLINK_OPENING
            blinking[frame + step, lids] = (1 - share) * shut_lids + share * after
    return blinking


def smooth_final(landmarks: np.ndarray) -> np.ndarray:
    """The last smoothing of (T, 68, 3) landmarks: the lips less than the rest."""
    return np.concatenate(
        [
            smooth(landmarks[:, FACE_WITHOUT_LIPS], *FINAL_SMOOTHING),
            smooth(landmarks[:, LIPS], *FINAL_LIP_SMOOTHING),
        ],
        axis=1,
    )


def finish_landmarks(
    normalised: np.ndarray,
    scale: float,
    shift: np.ndarray,
    *,
    blinks: bool = True,
    seed: int = 0,
    as_released: bool = False,
    keep: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Predicted landmarks back to the portrait's pixels, blinking and smoothed.

    As released the smoothing comes last, and blunts the blinks; the default smooths first.

    Args:
        normalised: (T, 68, 3) from `predict_landmarks`.
        scale: of `geometry.normalise`.
        shift: of `geometry.normalise`.
        blinks: let the eyes blink.
        seed: of the pauses between blinks.
        as_released: the release step for step.
        keep: where given, gets every intermediate under its name in the release's numbers.

    Returns:
        (T, 68, 3) float32: x and y in pixels of the portrait, z normalised.
    """
    pixels = denormalise(normalised, scale, shift)
    shut = blink_frames(len(pixels), seed, as_released=as_released) if blinks else []
    if as_released:
        blinking = add_blinks_as_released(pixels, shut) if blinks else pixels
        final = smooth_final(blinking)
    else:
        blinking = final = add_blinks(smooth_final(pixels), shut)
    if keep is not None:
        keep["landmarks_denormalised"] = pixels
        keep[f"landmarks_blinking_seed{seed}"] = blinking
        keep["landmarks_final"] = final
    return final


def _rise(length: int) -> np.ndarray:
    """(length,) float32 that goes smoothly from just above or at 0 to just below or at 1."""
    if length < 2:
        return np.full(length, 0.5, np.float32)
    return (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, length))).astype(np.float32)


def _tensor(values: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """A float32 tensor of its own memory: views of sliding windows cannot be shared."""
    return torch.from_numpy(np.array(values, np.float32, order="C")).to(device)
