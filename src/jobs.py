"""Inputs, outputs and networks of the animation scripts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.command_line import find_input
from src.errors import InputError
from src.options import option

if TYPE_CHECKING:
    import numpy as np

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
    output_folder: Path | None = option(
        None, "folder of the videos (that of the examples)", metavar="FOLDER"
    )
    out: Path | None = option(
        None, "the video itself, .mp4 (named after image and audio)", metavar="FILE"
    )
    reuse_train_emb_list: tuple[str, ...] = option(
        (),
        "move like these speakers of examples/dump/emb.pickle, a video each (the recording's own)",
        metavar="NAME",
    )


def checkpoint(name: str, published: str) -> Any:
    """Field for the path of a checkpoint, by default the published one where it is present."""
    return option(None, f"(examples/ckpt/{published})", name=name, metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Device and checkpoints of the networks."""

    device: str = option(
        "auto", "cuda where there is one, else cpu", choices=("auto", "cuda", "cpu")
    )
    autovc: str | None = checkpoint("load_AUTOVC_name", "ckpt_autovc.pth")
    speaker: str | None = checkpoint("load_a2l_G_name", "ckpt_speaker_branch.pth")
    content: str | None = checkpoint("load_a2l_C_name", "ckpt_content_branch.pth")
    translation: str | None = checkpoint("load_G_name", "ckpt_116_i2i_comb.pth")

    def checkpoints(self) -> dict[str, Path]:
        """Paths of the checkpoints that are given, by network.

        Raises:
            InputError: one is absent.
        """
        return {
            network: find_input(path, EXAMPLES, "checkpoint")
            for network, path in vars(self).items()
            if network != "device" and path is not None
        }


def plan(
    settings: JobSettings, still: Path, folder: Path, suffix: str = ".mp4"
) -> dict[Path, dict[str, Path]]:
    """Recordings, and for each of them the outputs by the speaker whose head motion is used.

    Args:
        settings: inputs and outputs.
        still: the portrait or the puppet's image, after which outputs are named.
        folder: where the outputs go if the settings name none.
        suffix: of the outputs.

    Raises:
        InputError: there is no recording, or the name of the output does not fit.
    """
    if settings.wav is not None:
        recordings = [find_input(settings.wav, EXAMPLES, "audio file")]
    else:
        recordings = sorted(path for path in EXAMPLES.glob("*") if path.suffix.lower() == ".wav")
        if not recordings:
            raise InputError(f"{EXAMPLES}: no .wav file in it; name an audio file by --wav")
    speakers = settings.reuse_train_emb_list or (OWN_EMBEDDING,)
    if settings.out is not None:
        count = len(recordings) * len(speakers)
        if count > 1:
            raise InputError(f"--out names one file, but there are {count} videos: give one --wav")
        if settings.out.suffix.lower() != suffix:
            raise InputError(f"--out {settings.out}: the name must end in {suffix}")
    folder = settings.output_folder or folder
    return {
        path: {
            name: settings.out or folder / f"{still.stem}_pred_fls_{path.stem}_{name}{suffix}"
            for name in speakers
        }
        for path in recordings
    }


def check_outputs(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """Check outputs before the work begins; None stands for a file that is not wanted.

    Raises:
        InputError: one cannot be written, or would replace an input or another output.
    """
    from src.io.files import check_writable

    taken = {path.resolve() for path in filter(None, inputs)}
    for path in filter(None, outputs):
        if path.resolve() in taken:
            raise InputError(f"{path}: would be written over an input or another output")
        taken.add(path.resolve())
        check_writable(path)


def read_speakers(names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Published speaker embeddings (256,) by name.

    Raises:
        InputError: the published file is absent, or lacks a name.
    """
    if not names:
        return {}
    from src.models.loading import compare_with_published, load_speaker_embeddings

    embeddings = load_speaker_embeddings(EMBEDDINGS)
    for name in names:
        if name not in embeddings:
            some = ", ".join(sorted(embeddings)[:5])
            raise InputError(f"{EMBEDDINGS}: no speaker {name!r} in it; it has {some}, ...")
    compare_with_published(EMBEDDINGS, EMBEDDINGS.name)
    return {name: embeddings[name] for name in names}
