"""The steps from clips and recordings to dumps; each keeps what an earlier run has finished.

Under ``<root_dir>``: ``clips/*.npz`` (tracked faces and sound, and how far they are out of step),
``clips.csv`` (all clips, and what is wrong with those that are left out), ``splits.json``,
``analysed/*.npz`` (what is heard in them), ``synthetic/*.npz`` (speech with phone times),
``dump/faces.npz`` (standard face, lip map), ``dump/voices.npz`` (for AutoVC) and the landmark dumps
of ``src.training.dumps``.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import itertools
import logging
import multiprocessing
import pickle
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.audio import FRAME_RATE, HOP_LENGTH, SAMPLE_RATE, normalise_loudness
from src.command_line import progress
from src.errors import InputError
from src.landmarks.geometry import register
from src.training import clips as clips_module
from src.training import dumps, faces, lip_shapes, synthesis, voices
from src.training.sentences import sentences
from src.training.splits import SPLITS, HeldOut

if TYPE_CHECKING:
    import torch

    from src.weights import AudioNetworks

_log = logging.getLogger(__name__)

ESPEAK_VOICES = tuple(
    f"{language}+{variant}"
    for language, variant in itertools.product(
        ("en-us", "en-gb-scotland", "en-gb-x-rp"),
        ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "Michael", "linda"),
    )
)
FLITE_PITCH = {"kal": 105.0, "awb": 115.0, "rms": 100.0, "slt": 170.0}  # Hz, about each one's own
CLIP_STAGES = ("track", "offset", "analyse")


def in_parallel(
    function: Callable, items: Iterable, processes: int, ordered: bool = False
) -> Iterator:
    """``map`` over processes that each compute on one thread, results as they come.

    Args:
        ordered: in the order of the items.
    """
    if processes <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_one_thread) as pool:
        yield from (pool.imap if ordered else pool.imap_unordered)(function, items)


def _one_thread() -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@dataclass(frozen=True)
class ClipWork:
    """What is to be done to a clip in a process of its own."""

    target: Path  # <root_dir>/clips/NAME.npz
    source: clips_module.ClipSource | None  # None for one that is tracked already
    stages: tuple[str, ...]  # of CLIP_STAGES
    detector: str
    weights: Path  # folder of the checkpoints that tell offsets
    analysed: Path  # folder


def work_on_clips(
    sources: list[clips_module.ClipSource],
    root: Path,
    stages: tuple[str, ...],
    processes: int,
    *,
    detector: str = "mediapipe",
    weights: Path = Path("examples/ckpt"),
    shard: tuple[int, int] = (1, 1),
) -> None:
    """Take every clip through the stages that it has not been through; bad ones are named.

    Args:
        sources: videos; without any, the clips that are tracked already.
        shard: which of how many equal parts of the clips, counted from 1.

    Raises:
        InputError: two videos would become the same file, or the detector cannot run.
    """
    folder = root / "clips"
    jobs = [(folder / f"{source.path.stem}.npz", source) for source in sources]
    _refuse_same_names(jobs)
    jobs = jobs or [(path, None) for path in sorted(folder.glob("*.npz"))]
    part, parts = shard
    if parts > 1:
        _log.info("part %d of %d; when all are done, a run without --shard joins them", *shard)
    work = [
        ClipWork(target, source, stages, detector, weights, root / "analysed")
        for target, source in jobs[part - 1 :: parts]
    ]
    done = in_parallel(_work_on_clip, work, processes)
    try:
        for number, line in enumerate(progress(done, len(work), "clips"), 1):
            if line:
                _log.info("%d/%d %s", number, len(work), line)
    except clips_module.DetectorMissing as problem:
        raise InputError(str(problem)) from None


def _refuse_same_names(jobs: list[tuple[Path, clips_module.ClipSource]]) -> None:
    known: dict[Path, Path] = {}
    for target, source in jobs:
        other = known.setdefault(target, source.path)
        if other != source.path:
            raise InputError(f"{other} and {source.path}: clips need different names; rename one")
        if target.is_file():
            speaker = str(clips_module.read_clip(target)["speaker"])
            if speaker != source.speaker:
                raise InputError(
                    f"{source.path}: {target} is a clip of {speaker}, not {source.speaker}; "
                    "rename one"
                )


def _work_on_clip(work: ClipWork) -> str:
    """Do what is left to do; returns a line about what was done, empty for nothing."""
    clip, said = None, []
    if work.target.is_file():
        clip = clips_module.read_clip(work.target)
        if work.source and str(clip.get("detector", work.detector)) != work.detector:
            clip = None
    if clip is None:
        clip = clips_module.track_clip(work.source, work.detector)
        said.append(f"{len(clip['landmarks'])} frames")
    problem = clips_module.problem_of(clip)
    if not problem:
        try:
            said += _listen(clip, work)
        except (ValueError, InputError) as error:
            reason = " ".join(str(error).splitlines())
            clip["unreadable"] = np.array(f"cannot be analysed: {reason}")
            problem = clips_module.problem_of(clip)
            said.append("analysed in vain")
    if said:
        dumps.save_npz(work.target, **clip)
    if problem and said:
        said.append(f"left out: {problem}")
    return f"{work.target.stem}: {', '.join(said)}" if said else ""


def _listen(clip: dict[str, np.ndarray], work: ClipWork) -> list[str]:
    """The offset goes into the clip, spectrum and embedding into a file; says what was done."""
    said = []
    if "offset" in work.stages and "offset_correlation" not in clip:
        clip |= _measured_offset(clip, work.weights)
        said.append(
            f"picture leads by {clip['offset_frames']:+d} frames"
            f" (correlation {clip['offset_correlation']:.2f})"
        )
    if "analyse" in work.stages:
        _, wav = _clip_in_step(clip)
        target = work.analysed / work.target.name
        if not _is_of(target, wav):
            _analyse_one((wav, target))
            said.append("analysed")
    return said


@functools.cache
def _networks(weights: Path) -> AudioNetworks:
    from src.weights import load_audio_networks

    return load_audio_networks(weights, {}, "cpu")


def _measured_offset(clip: dict[str, np.ndarray], weights: Path) -> dict[str, np.ndarray]:
    """The entries of a clip that say how far it is out of step, by its lips."""
    from src.training import sync

    networks = _networks(weights)
    track = faces.clean_track(clip["landmarks"])
    features = sync.heard_features(clip["wav"], networks)
    found = sync.estimate_offset(sync.lip_gap(track), sync.predicted_gap(features, track, networks))
    seconds = len(track) / clips_module.VIDEO_RATE
    in_sync = found.correlation >= sync.least_correlation(seconds)
    return {
        "offset": np.array(found.frames / clips_module.VIDEO_RATE if in_sync else 0.0),
        "synced": np.array(bool(clip["synced"]) and in_sync),
        "offset_frames": np.array(found.frames),
        "offset_correlation": np.array(found.correlation),
    }


def speakers_to_draw_from(root: Path) -> dict[str, str]:
    """Speakers, by the clips' names, of whom some may be held out.

    They are those who have clips in sync, so that no split of the content branch is empty; with
    fewer than three of them, all who have a clip that can be learned from.
    """
    known, in_sync = {}, {}
    for path in sorted((root / "clips").glob("*.npz")):
        clip = clips_module.read_clip(path)
        if not clips_module.problem_of(clip):
            known[path.stem] = str(clip["speaker"])
            if clip["synced"]:
                in_sync[path.stem] = str(clip["speaker"])
    return in_sync if len(set(in_sync.values())) >= 3 else known


def write_report(root: Path, held_out: HeldOut) -> None:
    """Write ``<root_dir>/clips.csv``, a row for each clip, and tell what was left out and why."""
    rows, reasons = [], Counter()
    for path in sorted((root / "clips").glob("*.npz")):
        clip = clips_module.read_clip(path)
        problem = clips_module.problem_of(clip)
        speaker = str(clip["speaker"])
        seen = np.isfinite(clip["landmarks"]).all((1, 2))
        corr = float(clip.get("offset_correlation", np.nan))
        rows.append(
            {
                "clip": path.stem,
                "speaker": speaker,
                "split": "" if problem else held_out.split_of(speaker, path.stem),
                "seconds": f"{len(seen) / clips_module.VIDEO_RATE:.2f}",
                "face_in": f"{seen.mean() if len(seen) else 0.0:.3f}",
                "av_offset_frames25": clip.get("offset_frames", ""),
                "offset_corr": f"{corr:.3f}" if np.isfinite(corr) else "",
                "speech_synced": "" if problem else int(clip["synced"]),
                "problem": problem,
            }
        )
        if problem:
            reasons[problem.split(":")[0]] += 1
            _log.warning("%s: left out: %s", path.stem, problem)
    if not rows:
        raise InputError(f"{root / 'clips'}: no tracked clips; main_prepare_data.py --videos DIR")
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    dumps.replace_file(root / "clips.csv", lambda file: file.write(text.getvalue().encode()))
    good = [row for row in rows if not row["problem"]]
    counts = Counter(row["split"] for row in good)
    _log.info(
        "%d clips of %d speakers (%s), %d of them in sync; %d left out%s; see %s",
        len(good),
        len({row["speaker"] for row in good}),
        ", ".join(f"{split} {counts[split]}" for split in SPLITS),
        sum(row["speech_synced"] for row in good),
        len(rows) - len(good),
        "".join(f", {reason} {count}" for reason, count in reasons.most_common()),
        root / "clips.csv",
    )


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
        clip = clips_module.read_clip(path)
        speaker, track = str(clip["speaker"]), faces.clean_track(clip["landmarks"])
        if track is None or held_out.split_of(speaker, path.stem) != "train":
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


def _clip_in_step(clip: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (T, 68, 3) in pixels at the audio's rate, and the sound that belongs to them."""
    track = faces.clean_track(clip["landmarks"])
    track, first = faces.at_audio_rate(track, float(clip["offset"]), len(clip["wav"]))
    return track, clip["wav"][first : first + len(track) * HOP_LENGTH]


def real_passages(root: Path, standard: np.ndarray, posed: bool) -> Iterator[Passage]:
    """Tracked clips that nothing is wrong with.

    Args:
        posed: keep the head's motion (each clip moved as a whole, for the speaker-aware branch),
            else register every frame (for the content branch, and clips in sync only).
    """
    for path in sorted((root / "clips").glob("*.npz")):
        clip = clips_module.read_clip(path)
        if clips_module.problem_of(clip) or not (posed or clip["synced"]):
            continue
        track, wav = _clip_in_step(clip)
        align = faces.register_whole if posed else register
        flat = align(track, standard).reshape(len(track), -1).astype(np.float32)
        yield Passage(path.stem, str(clip["speaker"]), wav, flat)


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
    folder = root / "analysed"
    spoken = sorted((root / "synthetic").glob("*.npz"))
    done = in_parallel(_analyse_spoken, [(path, folder / path.name) for path in spoken], processes)
    for _ in progress(done, len(spoken), "synthetic speech to analyse"):
        pass
    work_on_clips([], root, ("analyse",), processes)


def _analyse_spoken(job: tuple[Path, Path]) -> None:
    path, target = job
    wav = dumps.read_spoken(path).wav
    if not _is_of(target, wav):
        _analyse_one((wav, target))


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


@dataclass(frozen=True)
class Converter:
    """AutoVC as it is handed to processes: where its weights are, and whose voice comes out."""

    weights: Path  # folder of the default checkpoints
    checkpoint: Path | None  # a training's own AutoVC
    target: np.ndarray  # (256,)

    def convert(self, mel: np.ndarray, bins: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        """(T, 80) content features of a spectrum."""
        from src.features import convert_voice

        generator = _autovc(self.weights, self.checkpoint)
        return convert_voice(generator, mel, bins, embedding, self.target)


@functools.cache
def _autovc(weights: Path, checkpoint: Path | None) -> torch.nn.Module:
    if checkpoint is None:
        return _networks(weights).autovc
    from src.networks.autovc import Generator
    from src.training import runs

    return runs.load_network(Generator, "model", checkpoint)[0].eval()


def converter(root: Path, weights: Path, checkpoint: Path | None, target_voice: str) -> Converter:
    """AutoVC for the dumps; the target's embedding goes to ``<root>/dump/target_embedding.npy``.

    Args:
        weights: folder of the checkpoints that main_end2end.py uses; they run by default.
        checkpoint: of a training with the recordings of ``<root>/dump/voices.npz``.
        target_voice: speaker among those, that all voices become.

    Raises:
        InputError: the checkpoint is none of AutoVC, or the voice is unknown.
    """
    _autovc(weights, checkpoint)
    if checkpoint is None:
        target = _networks(weights).target_embedding
    else:
        known = dumps.read_voices(root / "dump" / "voices.npz")
        chosen = known.speakers == target_voice
        if not chosen.any():
            raise InputError(
                f"--target_voice {target_voice}: no such speaker in the dump of voices"
            )
        target = known.embeddings[chosen].mean(0)
    dumps.replace_file(root / "dump" / "target_embedding.npy", lambda file: np.save(file, target))
    return Converter(weights, checkpoint, target)


def write_dumps(
    root: Path,
    name: str,
    posed: bool,
    convert: Converter | None,
    changed_copies: int,
    held_out: HeldOut,
    processes: int = 1,
) -> None:
    """Write the landmark dumps of all three splits.

    Args:
        name: start of the dumps' names.
        posed: for the speaker-aware branch (real clips, head motion kept) rather than the content
            branch (registered; synthetic speech too).
        convert: None keeps the plain log-mel.
        changed_copies: copies of each training clip in changed voices (``VoiceChanger``).
    """
    known = load_faces(root)
    found = real_passages(root, known.standard_face, posed)
    if not posed:
        found = itertools.chain(found, synthetic_passages(root, known))
    passages, jobs = [], []
    for passage in found:
        analysed = root / "analysed" / f"{passage.name}.npz"
        if not _is_of(analysed, passage.wav):
            raise InputError(
                f"{analysed}: absent or of other sound; "
                "main_prepare_data.py --step analyse makes it"
            )
        split = held_out.split_of(passage.speaker, passage.name)
        copies = 1 + (changed_copies if split == "train" else 0)
        passages.append((split, replace(passage, wav=passage.wav[:0])))
        jobs.append((analysed, copies, convert))
    clips: dict[str, list[dumps.Clip]] = {split: [] for split in SPLITS}
    courses: dict[str, list[faces.HeadCourse]] = {split: [] for split in SPLITS}
    converted = progress(
        in_parallel(_convert_one, jobs, processes, ordered=True), len(jobs), "clips to convert"
    )
    for (split, passage), (copies, embedding) in zip(passages, converted, strict=True):
        course = faces.head_course(passage.landmarks, known.standard_face) if posed else None
        for copy, features in enumerate(copies):
            frames = min(len(features), len(passage.landmarks))
            clip = f"{passage.speaker}/{passage.name}+{copy}"
            clips[split].append(
                dumps.Clip(features[:frames], passage.landmarks[:frames], clip, embedding)
            )
            if course:
                courses[split].append(course.first(frames))
    for split, rows in clips.items():
        dumps.write_clips(root, split, rows, name)
        if posed:
            _write_courses(root / "dump" / f"{name}_{split}_gaze.pickle", courses[split])
        seconds = sum(len(row.features) for row in rows) / FRAME_RATE
        _log.info("%s: %d clips, %.0f minutes", split, len(rows), seconds / 60)


def _convert_one(job: tuple[Path, int, Converter | None]) -> tuple[list[np.ndarray], np.ndarray]:
    """Content features (T, 80) of a passage and its copies in changed voices; its embedding."""
    import torch

    from src.training.augment import VoiceChanger

    analysed, copies, convert = job
    with np.load(analysed) as data:
        mel, bins = data["mel"], data["f0_bins"]
        embedding, normalised = data["embedding"], data["embedding_normalised"]
    # By its name, so that neither order nor number of processes changes what comes out.
    seed = zlib.crc32(analysed.stem.encode())
    changer = VoiceChanger(torch.Generator().manual_seed(seed))
    found = []
    for copy in range(copies):
        heard = changer(torch.from_numpy(mel)[None])[0].numpy() if copy else mel
        features = convert.convert(heard, bins, normalised) if convert else heard
        found.append(features.astype(np.float32))
    return found, embedding


def _write_courses(path: Path, courses: list[faces.HeadCourse]) -> None:
    """The published third dump of the speaker-aware set: lists of arrays, one a clip."""
    lists = {key: [getattr(course, key) for course in courses] for key in faces.HeadCourse.FIELDS}
    dumps.replace_file(path, lambda file: pickle.dump(lists, file, protocol=4))
