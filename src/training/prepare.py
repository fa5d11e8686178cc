"""The steps from clips and recordings to dumps; each keeps what an earlier run has finished.

Under ``<root_dir>``: ``clips/*.npz`` (tracked faces and sound), ``synthetic/*.npz`` (speech with
phone times), ``dump/faces.npz`` (standard face, lip map), ``dump/voices.npz`` (for AutoVC) and the
landmark dumps of ``src.training.dumps``.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import multiprocessing
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.audio import FRAME_RATE, HOP_LENGTH, SAMPLE_RATE, normalise_loudness
from src.command_line import progress
from src.errors import InputError
from src.landmarks.geometry import register
from src.training import clips as clips_module
from src.training import dumps, faces, lip_shapes, synthesis, voices
from src.training.sentences import sentences

_log = logging.getLogger(__name__)

ESPEAK_VOICES = tuple(
    f"{language}+{variant}"
    for language, variant in itertools.product(
        ("en-us", "en-gb-scotland", "en-gb-x-rp"),
        ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "Michael", "linda"),
    )
)
FLITE_PITCH = {"kal": 105.0, "awb": 115.0, "rms": 100.0, "slt": 170.0}  # Hz, about each one's own
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class HeldOut:
    """Speakers and synthetic voices that are never trained on."""

    val: frozenset[str]
    test: frozenset[str]

    def split_of(self, speaker: str) -> str:
        """train, val or test."""
        return "test" if speaker in self.test else "val" if speaker in self.val else "train"


def in_parallel(function: Callable, items: list, processes: int) -> Iterator:
    """``map`` over processes that each compute on one thread, results as they come."""
    if processes <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_one_thread) as pool:
        yield from pool.imap_unordered(function, items, chunksize=2)


def _one_thread() -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def track_clips(sources: list[clips_module.ClipSource], root: Path, processes: int) -> None:
    """Track every clip that is not in ``<root>/clips`` yet; bad ones are named and passed over.

    Raises:
        InputError: two videos would become the same file there.
    """
    known: dict[str, Path] = {}
    for source in sources:
        other = known.setdefault(source.path.stem, source.path)
        if other != source.path:
            raise InputError(f"{other} and {source.path}: clips need different names; rename one")
        path = root / "clips" / f"{source.path.stem}.npz"
        if path.is_file() and (speaker := _speaker_of(path)) != source.speaker:
            raise InputError(
                f"{source.path}: {path} is a clip of {speaker}, not {source.speaker}; rename one"
            )
    todo = [
        (source, target)
        for source in sources
        if not (target := root / "clips" / f"{source.path.stem}.npz").is_file()
    ]
    _log.info("%d clips, %d to track", len(sources), len(todo))
    for line in in_parallel(_track_one, todo, processes):
        _log.info("%s", line)


def _speaker_of(path: Path) -> str:
    try:
        with np.load(path) as clip:
            return str(clip["speaker"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path}: not a tracked clip; delete it") from None


def _track_one(job: tuple[clips_module.ClipSource, Path]) -> str:
    source, target = job
    try:
        return clips_module.track_clip(source, target)
    except InputError as error:
        return f"passed over: {error}"


def speak_all(minutes: dict[str, float], texts: list[str], root: Path, seed: int = 0) -> None:
    """Speak into ``<root>/synthetic`` until each voice has its minutes.

    Args:
        minutes: flite's voices by name; ``espeak`` stands for all of ``ESPEAK_VOICES`` together.
        texts: spoken first, then sentences without end.

    What an earlier run said beyond that is deleted.

    Raises:
        InputError: an unknown voice.
    """
    unknown = sorted(set(minutes) - {*FLITE_PITCH, "espeak"})
    if unknown:
        voices_known = ", ".join((*FLITE_PITCH, "espeak"))
        raise InputError(f"--synthetic {', '.join(unknown)}: the voices are {voices_known}")
    for voice, wanted in minutes.items():
        rng = np.random.default_rng([seed, *voice.encode()])
        source = itertools.chain(texts, sentences(seed=int(rng.integers(1 << 30))))
        seconds, spoken = 0.0, set()
        for index, text in enumerate(source):
            if seconds >= wanted * 60:
                break
            name, speech = _speak_one(voice, text, rng)
            seconds += len(speech.wav) / SAMPLE_RATE
            names, starts, ends = zip(*speech.phones, strict=True)
            spoken.add(path := root / "synthetic" / f"{voice}_{index:05d}.npz")
            dumps.save_npz(
                path,
                wav=speech.wav,
                speaker=np.array(name),
                phones=np.array(names),
                times=np.array([starts, ends]).T,
                text=np.array(text),
            )
        for path in set((root / "synthetic").glob(f"{voice}_*.npz")) - spoken:
            path.unlink()
        _log.info("%s: %.1f minutes", voice, seconds / 60)


def _speak_one(voice: str, text: str, rng: np.random.Generator) -> tuple[str, synthesis.Speech]:
    if voice == "espeak":
        name = str(rng.choice(ESPEAK_VOICES))
        rate, pitch = int(rng.integers(130, 200)), int(rng.integers(25, 75))
        return name, synthesis.speak_espeak_here(text, name, rate, pitch)
    stretch = float(rng.uniform(0.9, 1.25))
    pitch = FLITE_PITCH[voice] * float(rng.uniform(0.85, 1.2))
    return voice, synthesis.speak_flite(text, voice, stretch, pitch)


@dataclass(frozen=True)
class Faces:
    """What all real faces together say."""

    standard_face: np.ndarray  # (68, 3)
    lip_weights: np.ndarray  # (2, 204)
    static_faces: np.ndarray  # (S, 68, 3), one a speaker of the training split


def measure_faces(root: Path, held_out: HeldOut) -> Faces:
    """Standard face, lip map and static faces from the tracked training clips, to a file too."""
    tracks = []
    for path in sorted((root / "clips").glob("*.npz")):
        with np.load(path) as clip:
            speaker, track = str(clip["speaker"]), faces.clean_track(clip["landmarks"])
        if track is None or held_out.split_of(speaker) != "train":
            continue
        tracks.append((speaker, track))
    if not tracks:
        raise InputError(f"{root / 'clips'}: no tracked clips; main_prepare_data.py --step clips")
    by_speaker = dict(tracks)
    at_rest = np.stack([faces.static_face(track) for track in by_speaker.values()])
    standard = faces.standard_face(at_rest)
    displacements, static_faces = [], []
    for speaker, track in tracks:
        registered = register(track, standard)
        static = faces.static_face(registered)
        displacements.append((registered - static)[::5])
        if track is by_speaker[speaker]:
            static_faces.append(static)
    lip_map = lip_shapes.fit_lip_map(np.concatenate(displacements))
    result = Faces(standard, lip_map.weights, np.stack(static_faces))
    dumps.save_npz(root / "dump" / "faces.npz", **vars(result))
    return result


def load_faces(root: Path) -> Faces:
    """Raises InputError where ``measure_faces`` has not run."""
    path = root / "dump" / "faces.npz"
    if not path.is_file():
        raise InputError(f"{path}: absent; main_prepare_data.py --step faces makes it")
    with np.load(path) as data:
        return Faces(**{key: data[key] for key in Faces.__dataclass_fields__})


@dataclass(frozen=True)
class Passage:
    """A stretch of sound with the landmarks that belong to it."""

    name: str
    speaker: str
    wav: np.ndarray  # int16, loudness as recorded
    landmarks: np.ndarray  # (T, 204) at FRAME_RATE


def real_passages(root: Path, standard: np.ndarray, posed: bool) -> Iterator[Passage]:
    """Tracked clips with sound.

    Args:
        posed: keep the head's motion (each clip moved as a whole, for the speaker-aware branch),
            else register every frame (for the content branch, and clips in sync only).
    """
    for path in sorted((root / "clips").glob("*.npz")):
        with np.load(path) as clip:
            data = {key: clip[key] for key in clip.files}
        track = faces.clean_track(data["landmarks"])
        if track is None or len(data["wav"]) == 0 or not (posed or data["synced"]):
            continue
        track, first = faces.at_audio_rate(track, float(data["offset"]), len(data["wav"]))
        align = faces.register_whole if posed else register
        track = align(track, standard)
        wav = data["wav"][first : first + len(track) * HOP_LENGTH]
        flat = track.reshape(len(track), -1).astype(np.float32)
        yield Passage(path.stem, str(data["speaker"]), wav, flat)


def synthetic_passages(root: Path, known: Faces) -> Iterator[Passage]:
    """Synthetic speech with lips written from its phones on faces of the training clips."""
    lip_map = lip_shapes.LipMap(known.lip_weights)
    for index, path in enumerate(sorted((root / "synthetic").glob("*.npz"))):
        spoken = dumps.read_spoken(path)
        frames = len(spoken.wav) // HOP_LENGTH
        gap, width = lip_shapes.mouth_tracks(spoken.phones, frames)
        static = known.static_faces[index % len(known.static_faces)]
        landmarks = static.reshape(1, -1) + lip_map.landmarks(gap, width)
        yield Passage(path.stem, spoken.speaker, spoken.wav, landmarks.astype(np.float32))


def analyse_voices(folders: list[Path], root: Path, processes: int) -> None:
    """Log-mel, F0 and embeddings of all recordings into ``<root>/dump/voices.npz``.

    Recordings that cannot be used are named and passed over.

    Raises:
        InputError: no recording can be used.
    """
    recordings = [row for folder in folders for row in voices.find_recordings(folder)]
    if not recordings:
        raise InputError(f"{', '.join(map(str, folders)) or '--speech'}: no recordings there")
    rows = []
    found = in_parallel(_analyse_recording, recordings, processes)
    for row in progress(found, len(recordings), "recordings to analyse"):
        if isinstance(row, str):
            _log.warning("passed over: %s", row)
        else:
            rows.append(row)
    if not rows:
        raise InputError(f"{', '.join(map(str, folders))}: no recording there can be used")
    rows.sort(key=lambda row: row[3])
    dumps.write_voices(root / "dump" / "voices.npz", voices.collect(rows))
    _log.info("%d recordings of %d speakers", len(rows), len({row[4] for row in rows}))


def _analyse_recording(recording: tuple[Path, str]) -> tuple | str:
    """The row of a recording, or what is wrong with it."""
    try:
        return voices.analyse_recording(recording)
    except (InputError, ValueError) as error:
        reason = " ".join(str(error).splitlines())
        return reason if isinstance(error, InputError) else f"{recording[0]}: {reason}"


def analyse_passages(root: Path, processes: int) -> None:
    """Log-mel, F0 and embeddings of every passage into ``<root>/analysed``.

    Finished ones are kept as long as the passage sounds the same.
    """
    known = load_faces(root)
    folder = root / "analysed"
    passages = itertools.chain(
        real_passages(root, known.standard_face, posed=True), synthetic_passages(root, known)
    )
    jobs = [
        (passage.wav, target)
        for passage in passages
        if not _is_of(target := folder / f"{passage.name}.npz", passage.wav)
    ]
    done = in_parallel(_analyse_one, jobs, processes)
    for _ in progress(done, len(jobs), "passages to analyse"):
        pass


def _digest(wav: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(wav).tobytes()).hexdigest()


def _is_of(analysed: Path, wav: np.ndarray) -> bool:
    """Whether a file of ``<root>/analysed`` was made from these samples."""
    try:
        with np.load(analysed) as data:
            return str(data["wav_sha256"]) == _digest(wav)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # absent, old or broken
        return False


def _analyse_one(job: tuple[np.ndarray, Path]) -> None:
    from thirdparty.speaker_encoder import embed_speaker

    wav, target = job
    normalised = normalise_loudness(wav)
    mel, bins = voices.analyse(normalised)
    dumps.save_npz(
        target,
        wav_sha256=np.array(_digest(wav)),
        mel=mel,
        f0_bins=bins,
        embedding=embed_speaker(wav),
        embedding_normalised=embed_speaker(normalised),
    )


def converter(root: Path, checkpoint: Path | None, target_voice: str) -> Callable:
    """(mel, F0 bins, embedding) -> content features, by AutoVC or, without one, the mel itself.

    The target voice's embedding is written to ``<root>/dump/target_embedding.npy``.

    Raises:
        InputError: the checkpoint is none of AutoVC, or the voice is unknown.
    """
    if checkpoint is None:
        return lambda mel, bins, embedding: mel
    from src.features import convert_voice
    from src.networks.autovc import Generator
    from src.training import runs

    generator, _ = runs.load_network(Generator, "model", checkpoint)
    generator.eval()
    known = dumps.read_voices(root / "dump" / "voices.npz")
    chosen = known.speakers == target_voice
    if not chosen.any():
        raise InputError(f"--target_voice {target_voice}: no such speaker in the dump of voices")
    target = known.embeddings[chosen].mean(0)
    dumps.replace_file(root / "dump" / "target_embedding.npy", lambda file: np.save(file, target))
    return lambda mel, bins, embedding: convert_voice(generator, mel, bins, embedding, target)


def write_dumps(
    root: Path,
    name: str,
    posed: bool,
    convert: Callable,
    changed_copies: int,
    held_out: HeldOut,
) -> None:
    """Write the landmark dumps of all three splits.

    Args:
        name: start of the dumps' names.
        posed: for the speaker-aware branch (real clips, head motion kept) rather than the content
            branch (registered; synthetic speech too).
        changed_copies: copies of each training clip in changed voices (``VoiceChanger``).
    """
    import torch

    from src.training.augment import VoiceChanger

    torch.set_num_threads(1)
    known = load_faces(root)
    changer = VoiceChanger(torch.Generator().manual_seed(0))
    passages = real_passages(root, known.standard_face, posed)
    if not posed:
        passages = itertools.chain(passages, synthetic_passages(root, known))
    clips: dict[str, list[dumps.Clip]] = {split: [] for split in SPLITS}
    for passage in passages:
        analysed = root / "analysed" / f"{passage.name}.npz"
        if not _is_of(analysed, passage.wav):
            raise InputError(
                f"{analysed}: absent or of other sound; "
                "main_prepare_data.py --step analyse makes it"
            )
        with np.load(analysed) as data:
            mel, bins = data["mel"], data["f0_bins"]
            embedding, normalised = data["embedding"], data["embedding_normalised"]
        split = held_out.split_of(passage.speaker)
        for copy in range(1 + (changed_copies if split == "train" else 0)):
            heard = mel
            if copy:
                heard = changer(torch.from_numpy(mel)[None])[0].numpy()
            features = convert(heard, bins, normalised).astype(np.float32)
            frames = min(len(features), len(passage.landmarks))
            clip = f"{passage.speaker}/{passage.name}+{copy}"
            clips[split].append(
                dumps.Clip(features[:frames], passage.landmarks[:frames], clip, embedding)
            )
    for split, rows in clips.items():
        dumps.write_clips(root, split, rows, name)
        seconds = sum(len(row.features) for row in rows) / FRAME_RATE
        _log.info("%s: %d clips, %.0f minutes", split, len(rows), seconds / 60)
