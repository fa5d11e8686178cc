"""The jobs of the animation scripts: which videos to create, from what, and where they go."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import find_input
from src.errors import InputError
from src.options import option

if TYPE_CHECKING:
    import numpy as np

    from src.animate import Models
    from src.speech.features import Recording, SpeechFeatures

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
EMBEDDINGS = EXAMPLES / "dump" / "emb.pickle"
OWN_EMBEDDING = "audio_embed"  # the release's name for a recording's own speaker embedding


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """Inputs and outputs of both animation scripts."""

    jpg: str = option("astronaut.jpg", "any image", metavar="PORTRAIT")
    wav: str | None = option(
        None, "any audio (every .wav in examples/, one after the other)", metavar="AUDIO"
    )
    output_folder: Path | None = option(None, "folder of the videos (examples)", metavar="FOLDER")
    out: Path | None = option(
        None, "the video itself, .mp4 (named after portrait and audio)", metavar="FILE"
    )
    reuse_train_emb_list: tuple[str, ...] = option(
        (),
        "move like these speakers of examples/dump/emb.pickle, a video each (the recording's own)",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """Checkpoints of the networks from audio to landmarks."""

    load_AUTOVC_name: str | None = option(None, "(examples/ckpt/ckpt_autovc.pth)", metavar="FILE")
    load_a2l_G_name: str | None = option(
        None, "(examples/ckpt/ckpt_speaker_branch.pth)", metavar="FILE"
    )
    load_a2l_C_name: str | None = option(
        None, "(examples/ckpt/ckpt_content_branch.pth)", metavar="FILE"
    )

    def paths(self) -> dict[str, Path]:
        """Network to the path given for it, as `load_models` takes them.

        Raises:
            InputError: one is absent.
        """
        return {
            NETWORKS[field.name]: find_input(getattr(self, field.name), EXAMPLES, "checkpoint")
            for field in fields(self)
            if getattr(self, field.name) is not None
        }


@dataclass(frozen=True, kw_only=True)
class AllCheckpointSettings(CheckpointSettings):
    """Checkpoints of all networks."""

    load_G_name: str | None = option(None, "(examples/ckpt/ckpt_116_i2i_comb.pth)", metavar="FILE")


NETWORKS = {
    "load_AUTOVC_name": "autovc",
    "load_a2l_C_name": "content",
    "load_a2l_G_name": "speaker",
    "load_G_name": "translation",
}


@dataclass(frozen=True)
class Job:
    """One video: a recording, a speaker whose motion is taken, and the file to write."""

    recording: Path
    speaker_id: str
    out: Path


def plan(settings: JobSettings, still: Path, folder: Path, suffix: str = ".mp4") -> list[Job]:
    """All jobs of a command, recording by recording.

    Args:
        settings: inputs and outputs.
        still: the portrait or the puppet's image, after which outputs are named.
        folder: of the outputs where the settings name none.
        suffix: of the outputs.

    Raises:
        InputError: no recording, or one output name for several jobs.
    """
    if settings.wav is not None:
        recordings = [find_input(settings.wav, EXAMPLES, "audio file")]
    else:
        recordings = sorted(path for path in EXAMPLES.glob("*") if path.suffix.lower() == ".wav")
        if not recordings:
            raise InputError(f"{EXAMPLES}: contains no .wav, so name a recording: --wav AUDIO")
    speakers = settings.reuse_train_emb_list or (OWN_EMBEDDING,)
    pairs = list(itertools.product(recordings, speakers))
    if settings.out is None:
        folder = settings.output_folder or folder
        return [
            Job(path, name, folder / f"{still.stem}_pred_fls_{path.stem}_{name}{suffix}")
            for path, name in pairs
        ]
    if len(pairs) > 1:
        raise InputError(f"--out names one file, but there are {len(pairs)} videos: give one --wav")
    if settings.out.suffix.lower() != suffix:
        raise InputError(f"--out {settings.out}: the name must end in {suffix}")
    return [Job(*pairs[0], settings.out)]


def check_outputs(inputs: list[Path], outputs: list[Path]) -> None:
    """Check outputs before the work begins.

    Raises:
        InputError: one cannot be written, or would replace an input or another output.
    """
    from src.io.files import check_writable

    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in taken:
            raise InputError(f"{path}: would be written over an input or another output")
        taken.add(path.resolve())
        check_writable(path)


def read_speakers(names: tuple[str, ...]) -> dict[str, np.ndarray | None]:
    """Speaker embeddings (256,) by name; None stands for a recording's own.

    Raises:
        InputError: the published file is absent, or lacks a name.
    """
    if not names:
        return {OWN_EMBEDDING: None}
    from src.models.loading import compare_with_published, load_speaker_embeddings
    from src.models.registry import EMBEDDINGS_FILE

    if not EMBEDDINGS.is_file():
        raise InputError(f"{EMBEDDINGS}: --reuse_train_emb_list needs this published file")
    embeddings = load_speaker_embeddings(EMBEDDINGS)
    for name in names:
        if name not in embeddings:
            some = ", ".join(sorted(embeddings)[:5])
            raise InputError(f"{EMBEDDINGS}: no speaker {name!r} in it; it has {some}, ...")
    compare_with_published(EMBEDDINGS, EMBEDDINGS_FILE)
    return {name: embeddings[name] for name in names}


def analysed(
    jobs: list[Job],
    first: Recording,
    models: Models,
    intermediates: dict[str, np.ndarray] | None = None,
) -> Iterator[tuple[Job, SpeechFeatures]]:
    """Each job with its speech features, which jobs of one recording share.

    Args:
        jobs: of `plan`.
        first: the first job's recording, already read.
        models: loaded networks.
        intermediates: see `src.animate.animate`.
    """
    from src.animate import listen

    for path, group in itertools.groupby(jobs, key=lambda job: job.recording):
        speech = listen(first if path == first.source else path, models, intermediates)
        for job in group:
            yield job, speech
