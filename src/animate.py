"""The whole method: a still face and a recording become a video.

    models = load_models()
    video = animate("me.jpg", "speech.wav", models)
    video.write("talking.mp4")

audio → speech features → moving landmarks → frames → file, each step one call into its folder.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from src.command_line import progress
from src.device import pick_device
from src.errors import InputError
from src.face.crop import FaceCrop
from src.face.geometry import (
    DEPTH_FACTOR,
    close_mouth,
    denormalise,
    normalise,
    slim_lips_widen_eyes,
)
from src.face.portrait import Portrait, load_portrait
from src.io.audio import FRAME_RATE, AudioSource, audio_file
from src.io.video import write_video
from src.models.dimensions import IMAGE_SIZE
from src.models.folding import for_inference
from src.models.loading import MotionModels, load_image_translation, load_motion_models
from src.models.registry import CHECKPOINTS, find_image_translation
from src.motion import default, released
from src.motion.resampling import resample
from src.motion.settings import MotionSettings
from src.puppets import motion as puppet_motion
from src.puppets import released as released_puppets
from src.puppets.closing import repaired
from src.puppets.puppet import Puppet
from src.render.landmark_image import landmark_image, side_by_side
from src.render.renderer import Renderer, make_renderer
from src.render.settings import RenderSettings
from src.speech.features import SpeechFeatures, speech_features
from src.speech.recording import SHORTEST_RECORDING, Recording, read_recording

FPS = 25.0  # frames a second of a video; the release renders every landmark frame

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Models:
    """All networks, in eval mode on one device."""

    motion: MotionModels  # from audio to landmarks
    image_translation: torch.nn.Module | None  # from landmarks to frames; None for the warp
    device: torch.device


@dataclass(frozen=True)
class Video:
    """A talking video whose frames are rendered as they are read, once."""

    frames: Iterator[np.ndarray]  # uint8 BGR (H, W, 3)
    fps: float
    landmarks: np.ndarray  # (frames, 68, 3) pixels of a frame
    recording: Recording

    def write(self, path: str | Path) -> None:
        """Render the frames and encode them with the recording into an .mp4 file.

        Raises:
            InputError: the video cannot be written.
        """
        # Closing ends the renderer's threads, however the encoding ends.
        with (
            contextlib.closing(self.frames) as frames,
            audio_file(self.recording.source) as audio,
        ):
            shown = progress(frames, len(self.landmarks), "rendering frames")
            write_video(path, shown, self.fps, audio, least_seconds=SHORTEST_RECORDING)
        log.info("wrote %s", path)


def load_models(
    checkpoints: Mapping[str, str | Path] | None = None,
    *,
    renderer: str = "auto",
    device: str = "auto",
    optimise: bool = True,
) -> Models:
    """Load the published networks where they are, else the embedded ones.

    Args:
        checkpoints: paths in place of the default ones, by network: "autovc", "content",
            "speaker", "translation".
        renderer: "auto", "unet" or "warp"; decides whether image translation is loaded.
        device: "auto", "cuda" or "cpu".
        optimise: fold and compile image translation for speed, at the cost of rounding.

    Raises:
        InputError: a checkpoint is missing or broken, or the device is absent.
    """
    paths = {name: Path(path) for name, path in (checkpoints or {}).items()}
    where = pick_device(device)
    found = find_image_translation(CHECKPOINTS, paths.pop("translation", None), renderer)
    motion = load_motion_models(CHECKPOINTS, paths, where)
    if found is None:
        return Models(motion, None, where)
    network = load_image_translation(found, where)
    return Models(motion, for_inference(network, where) if optimise else network, where)


def animate(
    still: str | Path | np.ndarray | Portrait | Puppet,
    audio: AudioSource | SpeechFeatures,
    models: Models,
    motion: MotionSettings = MotionSettings(),  # noqa: B008 (frozen)
    render: RenderSettings = RenderSettings(),  # noqa: B008 (frozen)
    *,
    background: np.ndarray | None = None,
    speaker_embedding: np.ndarray | None = None,
    intermediates: dict[str, np.ndarray] | None = None,
) -> Video:
    """Let a portrait or a puppet speak.

    Args:
        still: path or uint8 BGR array of a portrait, a loaded portrait, or a puppet.
        audio: path, or (samples, sample rate), or the features of a recording.
        models: of `load_models`.
        motion: amplitudes, and whether to follow the published release step by step.
        render: size, frame rate, detector, overlay and renderer.
        background: uint8 BGR behind a puppet, of its size; white where None.
        speaker_embedding: (256,) of another speaker, whose head motion is taken.
        intermediates: if given, receives the arrays of every step.

    Raises:
        InputError: an input cannot be used.
    """
    method = released if motion.as_released else default
    speech = audio
    if not isinstance(speech, SpeechFeatures):
        speech = read_speech(speech, models, intermediates)
    if speaker_embedding is not None:
        speech = replace(speech, speaker_embedding=speaker_embedding)
    if speech.silent:
        motion = replace(motion, amp_lip_x=0.0, amp_lip_y=0.0)
    arrays = {} if intermediates is None else intermediates
    if isinstance(still, Puppet):
        character = puppet_character(still, models, motion, background)
    else:
        if not isinstance(still, Portrait):
            still = read_portrait(still, motion, render)
        character = portrait_character(still, models, motion, render, arrays)

    log.info("predicting landmarks")
    motion = replace(motion, amp_lip_y=motion.amp_lip_y * character.lip_gain)
    predicted = method.predict_landmarks(speech, character.face, models.motion, motion)
    pixels = denormalise(predicted, character.scale, character.shift)
    landmarks = character.finish(pixels)
    shown = landmarks[min(10, len(landmarks) - 1)]
    arrays["landmarks_predicted"] = predicted
    arrays["landmarks_denormalised"] = pixels
    arrays["landmarks_final"] = landmarks
    arrays["landmark_image_frame10"] = landmark_image(shown, character.image.shape[:2])

    fps = render.fps or (FRAME_RATE if motion.as_released else FPS)
    # The release loses the end of the recording, and its video is as long as its landmarks.
    seconds = len(landmarks) / FRAME_RATE if motion.as_released else speech.recording.seconds
    sampled = sample_landmarks(landmarks, fps, seconds)
    frames = character.renderer.frames(sampled)
    if render.show_landmarks:
        frames = side_by_side(character.image, frames, sampled, on_white=motion.as_released)
    return Video(frames, fps, sampled, speech.recording)


def read_speech(
    audio: AudioSource, models: Models, intermediates: dict[str, np.ndarray] | None = None
) -> SpeechFeatures:
    """Read a recording and compute its speech features; arguments as for `animate`."""
    recording = read_recording(audio)
    log.info("extracting speech features of %s (%.1f s)", recording.name, recording.seconds)
    return speech_features(recording, models.motion, intermediates)


def read_portrait(
    image: str | Path | np.ndarray,
    motion: MotionSettings,
    render: RenderSettings,
    landmarks: Path | None = None,
) -> Portrait:
    """Read a portrait at its size in the video; for the release, a square of 256 pixels."""
    return load_portrait(
        image,
        landmarks,
        detector=render.landmark_detector,
        max_size=render.max_size,
        square=IMAGE_SIZE if motion.as_released else None,
    )


@dataclass(frozen=True)
class Character:
    """A still face that the motion moves, portrait or puppet."""

    image: np.ndarray  # uint8 BGR (H, W, 3), the frame at rest
    face: np.ndarray  # (68, 3) normalised, from which the motion starts
    scale: float  # of `denormalise`, which brings landmarks to pixels of the image
    shift: np.ndarray  # (2,), as `scale`
    lip_gain: float  # factor on the vertical amplitude of the lips
    finish: Callable[[np.ndarray], np.ndarray]  # smooths predicted landmarks (T, 68, 3) in pixels
    renderer: Renderer


def portrait_character(
    portrait: Portrait,
    models: Models,
    motion: MotionSettings,
    render: RenderSettings,
    arrays: dict[str, np.ndarray],
) -> Character:
    """A portrait; its eyes blink. `arrays` receives the landmarks of every step."""
    name = render.renderer
    if name == "auto":
        name = "warp" if models.image_translation is None else "unet"
    if name == "unet" and models.image_translation is None:
        raise InputError('renderer unet: needs models of load_models(renderer="unet")')
    renderer = make_renderer(
        name,
        portrait.image,
        portrait.landmarks,
        models.image_translation,
        models.device,
        FaceCrop(0, 0, IMAGE_SIZE) if motion.as_released else None,
    )
    closed = close_mouth(portrait.landmarks)
    face = closed if motion.close_input_face_mouth else portrait.landmarks
    adapt = slim_lips_widen_eyes if motion.as_released else renderer.adapt_landmarks
    face, scale, shift = normalise(adapt(face), models.motion.standard_face[:, 2])
    arrays["landmarks_in"] = portrait.landmarks
    arrays["landmarks_closed_mouth"] = closed
    arrays["landmarks_normalised"] = face
    arrays["scale"], arrays["shift"] = np.array(scale), shift

    def finish(pixels: np.ndarray) -> np.ndarray:
        method = released if motion.as_released else default
        blinking, final = method.finish_portrait(pixels, motion.seed)
        arrays[f"landmarks_blinking_seed{motion.seed}"] = blinking
        return final

    return Character(portrait.image, face, scale, shift, 1.0, finish, renderer)


def puppet_character(
    puppet: Puppet, models: Models, motion: MotionSettings, background: np.ndarray | None
) -> Character:
    """A puppet; it does not blink, and a mouth drawn wide open opens wider.

    The release takes the puppet's files as they are, the depth of the face included, which is ten
    times a portrait's.
    """
    face, gain, finish = puppet.closed_face, 1.0, released_puppets.finish
    if not motion.as_released:
        puppet = repaired(puppet)
        depth = DEPTH_FACTOR * models.motion.standard_face[:, 2]
        face = np.column_stack([puppet.closed_face[:, :2], depth])
        gain, finish = puppet_motion.opening_gain(puppet), puppet_motion.finish
    renderer = puppet.renderer(background)
    image = renderer.render(puppet.landmarks)
    return Character(image, face, puppet.scale, puppet.shift, gain, finish, renderer)


def sample_landmarks(landmarks: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """Landmarks (T, 68, 3) at `FRAME_RATE` at the times of a video's frames, at least one."""
    count = max(1, round(seconds * fps))
    return resample(landmarks, np.arange(count) * (FRAME_RATE / fps))
