"""The whole command: on real input once, against the release's numbers, and on what is wrong."""

import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

import main_end2end
from src import animate as pipeline
from src import jobs
from src.face.portrait import load_portrait
from src.io.audio import SAMPLE_RATE, read_audio
from src.io.image import flatten
from tests.parity import PARITY, fill, needs_parity

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PORTRAIT = EXAMPLES / "astronaut.jpg"
RECORDING = EXAMPLES / "welcome_slt.wav"
CAT = ROOT.parent / "shared" / "portraits" / "no_face_cat.jpg"

TEXTS = ("obama_emb.txt", "MEAN_STD_AUTOVC_RETRAIN_MEL_AU.txt", "STD_FACE_LANDMARKS.txt")


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def short_recording(tmp_path_factory) -> Path:
    """The first two seconds of the bundled recording."""
    samples = read_audio(RECORDING)[: 2 * SAMPLE_RATE]
    return write_wav(tmp_path_factory.mktemp("recording") / "short.wav", samples)


@pytest.fixture(scope="session")
def face_file(tmp_path_factory) -> Path:
    """The bundled portrait's landmarks, so that a test need not detect them again."""
    from src.face.detection import detect_landmarks
    from src.io.image import read_image

    path = tmp_path_factory.mktemp("face") / "face.npy"
    np.save(path, detect_landmarks(read_image(PORTRAIT), "mediapipe"))
    return path


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """Checkpoints laid out like the published ones, of official sizes."""
    import torch

    from src.models.autovc import AutoVC
    from src.models.config import AutoVCConfig, ContentConfig, SpeakerConfig
    from src.models.content import ContentBranch
    from src.models.speaker_aware import SpeakerBranch

    folder = tmp_path_factory.mktemp("published")
    for name, network, part in (
        ("ckpt_autovc.pth", AutoVC(AutoVCConfig()), "model"),
        ("ckpt_content_branch.pth", ContentBranch(ContentConfig()), "model_g_face_id"),
        ("ckpt_speaker_branch.pth", SpeakerBranch(SpeakerConfig()), "G"),
    ):
        fill(network)
        torch.save({part: network.state_dict()}, folder / name)
    rng = np.random.default_rng(0)
    for name, shape in zip(TEXTS, ((256,), (160,), (68, 3)), strict=True):
        if PARITY.is_dir():
            shutil.copy(PARITY / name, folder / name)
        else:
            np.savetxt(folder / name, 0.5 + 0.1 * rng.random(shape))
    return folder


@pytest.fixture(autouse=True)
def signals_as_before():
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def by_option(folder: Path) -> list[str]:
    return [
        f"--load_AUTOVC_name={folder / 'ckpt_autovc.pth'}",
        f"--load_a2l_C_name={folder / 'ckpt_content_branch.pth'}",
        f"--load_a2l_G_name={folder / 'ckpt_speaker_branch.pth'}",
    ]


def fails_with(capfd, folder: Path, *arguments: str | Path) -> str:
    """Run with arguments that are wrong: exit code 2, one line on stderr, nothing left behind."""
    before = sorted(folder.rglob("*"))
    capfd.readouterr()
    try:
        code = main_end2end.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    message = capfd.readouterr().err
    assert code == 2, message
    assert message.count("\n") == 1 and message.endswith("\n"), message
    assert sorted(folder.rglob("*")) == before
    return message


def mouth_gap(landmarks: np.ndarray) -> np.ndarray:
    """Inner-lip gap over the width of the jaw, (T,)."""
    jaw = np.linalg.norm(landmarks[:, 16, :2] - landmarks[:, 0, :2], axis=-1)
    return np.linalg.norm(landmarks[:, 66, :2] - landmarks[:, 62, :2], axis=-1) / jaw


def test_a_portrait_talks(tmp_path, short_recording):
    inputs = {path: path.read_bytes() for path in (PORTRAIT, short_recording)}
    command = [sys.executable, "main_end2end.py", "--jpg", "astronaut.jpg"]
    command += ["--wav", str(short_recording), "--output_folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    video = tmp_path / "astronaut_pred_fls_short_audio_embed.mp4"
    assert f"wrote {video}" in done.stdout
    assert "weights of the motion networks" in done.stdout
    assert "rendering frames (50)" in done.stdout
    assert list(tmp_path.iterdir()) == [video]
    assert all(path.read_bytes() == before for path, before in inputs.items())

    capture = cv2.VideoCapture(str(video))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert capture.get(cv2.CAP_PROP_FPS) == 25
    frames = np.array(frames)
    portrait = cv2.imread(str(PORTRAIT))
    assert frames.shape == (50, *portrait.shape)
    assert abs(len(read_audio(video)) / SAMPLE_RATE - 2.0) < 0.03
    # The background stays, the mouth moves, and nothing is black or far from the portrait.
    motion = frames.std(axis=0).mean(axis=-1)
    mouth = motion[240:290, 200:300].mean()
    border = motion[:, :20].mean()
    assert mouth > 3 and border < 1, (mouth, border)
    # The head is free to begin away from where the portrait has it.
    apart = np.abs(frames[0].astype(int) - portrait)
    assert apart.mean() < 12 and apart[:, :20].mean() < 6, (apart.mean(), apart[:, :20].mean())
    assert np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3)).max() < 6


@needs_parity
def test_as_released_gives_the_release_s_numbers(tmp_path, published, capfd):
    truth = np.load(PARITY / "pipeline.npz")
    np.save(tmp_path / "face.npy", truth["landmarks_in"])
    cv2.imwrite(str(tmp_path / "face.png"), np.full((256, 256, 3), 128, np.uint8))
    arguments = ["--as_released", "--landmarks_only", f"--landmarks={tmp_path / 'face.npy'}"]
    arguments += [f"--jpg={tmp_path / 'face.png'}", f"--wav={PARITY / 'pipeline.wav'}"]
    arguments += [f"--save_intermediates={tmp_path / 'all.npz'}", f"--out={tmp_path / 'l.npy'}"]
    assert main_end2end.main([*arguments, *by_option(published)]) == 0
    output = capfd.readouterr()
    assert "weights of the motion networks: published" in output.out
    assert output.err.count("its sha256 differs") == 3
    ours = np.load(tmp_path / "all.npz")
    assert set(ours) == set(truth)
    limits = {"wav_normalised": 1, "autovc_mel": 1e-3, "landmarks_predicted": 2e-3}
    limits |= {"landmarks_denormalised": 0.2, "landmarks_blinking_seed0": 0.2}
    limits |= {"landmarks_final": 0.2, "landmark_image_frame10": 0}
    for name in truth:
        assert ours[name].shape == truth[name].shape, name
        apart = np.abs(ours[name].astype(float) - truth[name].astype(float)).max()
        assert apart <= limits.get(name, 1e-4), (name, apart)
    # At the release's 62.5 frames a second every landmark frame is a frame of the video.
    written = np.load(tmp_path / "l.npy")
    assert np.abs(written - ours["landmarks_final"]).max() < 1e-3


def test_default_landmarks_fit_the_audio(tmp_path, short_recording, face_file, capfd):
    out = tmp_path / "moving.NPY"
    arguments = ["--landmarks_only", f"--wav={short_recording}", f"--landmarks={face_file}"]
    arguments += [f"--out={out}", "--fps=30"]
    assert main_end2end.main(arguments) == 0
    assert not list(tmp_path.glob(".*"))
    moving = np.load(out)
    assert moving.shape == (60, 68, 3)
    face = np.load(face_file)
    assert np.abs(moving[..., :2] - face[:, :2]).max() < 0.3 * np.ptp(face[:, 0])
    assert np.ptp(mouth_gap(moving)) > 0.02
    assert capfd.readouterr().err == ""


def test_silence_keeps_the_lips_still(tmp_path, face_file, capfd):
    silence = write_wav(tmp_path / "silence.wav", np.zeros(2 * SAMPLE_RATE))
    out = tmp_path / "still.npy"
    arguments = ["--landmarks_only", f"--wav={silence}", f"--landmarks={face_file}"]
    assert main_end2end.main([*arguments, f"--out={out}"]) == 0
    gaps = mouth_gap(np.load(out))
    assert np.abs(gaps - mouth_gap(np.load(face_file)[None])).max() < 0.01
    assert capfd.readouterr().err == f"{silence}: silence, so the lips do not move\n"


def test_a_tenth_of_a_second_is_padded(tmp_path, face_file, capfd):
    samples = read_audio(RECORDING)[8000 : 8000 + SAMPLE_RATE // 10]
    voice = write_wav(tmp_path / "short.wav", samples)
    video = tmp_path / "short.mp4"
    arguments = [f"--wav={voice}", f"--landmarks={face_file}", "--renderer=warp"]
    assert main_end2end.main([*arguments, f"--out={video}"]) == 0
    assert capfd.readouterr().err == f"{voice}: 0.10 s of audio, padded to 0.3 s\n"
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert abs(len(read_audio(video)) / SAMPLE_RATE - 0.3) < 0.07


def test_names_that_a_shell_or_a_parser_would_read(
    tmp_path, short_recording, face_file, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    jpg, wav, out = "-a 'b' \"c\".jpg", "--ü;$(touch x).wav", "-o %d `y`.mp4"
    shutil.copy(PORTRAIT, jpg)
    shutil.copy(short_recording, wav)
    arguments = [f"--jpg={jpg}", f"--wav={wav}", f"--out={out}", "--fps=4", "--max_size=200"]
    assert main_end2end.main([*arguments, "--landmarks", str(face_file), "--renderer=warp"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([jpg, wav, out])
    capture = cv2.VideoCapture(str(tmp_path / out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 200


def test_three_images_side_by_side(tmp_path, short_recording, face_file):
    video = tmp_path / "three.mp4"
    still = ["--amp_pos=0", "--amp_lip_x=0", "--amp_lip_y=0"]
    arguments = [f"--wav={short_recording}", f"--landmarks={face_file}", "--show_landmarks", *still]
    assert main_end2end.main([*arguments, "--fps=2", "--renderer=warp", f"--out={video}"]) == 0
    ok, frame = cv2.VideoCapture(str(video)).read()
    assert ok and frame.shape == (512, 3 * 512, 3)
    assert np.abs(frame[:, :512].astype(int) - cv2.imread(str(PORTRAIT))).mean() < 8
    # The jaw's line is drawn where the jaw is.
    x, y = np.load(face_file)[8, :2].round().astype(int)
    blue, _, red = frame[y - 2 : y + 3, 1024 + x].astype(int).T
    assert (blue - red).max() > 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing(tmp_path, short_recording, face_file, number):
    folder = tmp_path / "new folder"
    command = [sys.executable, "main_end2end.py", "--wav", str(short_recording), "--fps", "200"]
    command += ["--landmarks", str(face_file), "--output_folder", str(folder)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so do we then.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    for line in process.stdout:
        if line.startswith("rendering frames"):
            break
    while not any(folder.glob(".*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert errors == f"stopped by {number.name}\n"
    assert not folder.exists()


def test_help_is_quick_and_imports_nothing_large():
    code = (
        "import sys, main_end2end\n"
        "try: main_end2end.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'mediapipe', 'librosa', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    for text in ("--amp_lip_x", "astronaut.jpg", "(0.5)", "examples/ckpt/ckpt_autovc.pth"):
        assert text in done.stdout


class TestWrongImages:
    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("missing.jpg", None, "no such image"),
            ("empty.jpg", b"", "empty"),
            ("text.jpg", b"not an image\n" * 50, "not an image"),
            ("cut.jpg", PORTRAIT.read_bytes()[:20000], "truncated"),
            ("folder.jpg", "folder", "no such image"),
        ],
    )
    def test_files(self, tmp_path, capfd, short_recording, name, content, reason):
        path = tmp_path / name
        if content == "folder":
            path.mkdir()
        elif content is not None:
            path.write_bytes(content)
        out = tmp_path / "deep" / "x.mp4"
        message = fails_with(capfd, tmp_path, "--jpg", path, "--wav", short_recording, "--out", out)
        assert str(path) in message and reason in message

    def test_no_face(self, tmp_path, capfd, short_recording):
        path = tmp_path / "noise.png"
        noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
        cv2.imwrite(str(path), noise)
        message = fails_with(
            capfd, tmp_path, "--jpg", path, "--wav", short_recording, "--out", tmp_path / "x.mp4"
        )
        assert message == f"{path}: no face found\n"

    @pytest.mark.skipif(not CAT.is_file(), reason="needs ../shared")
    def test_a_cat(self, tmp_path, capfd, short_recording):
        message = fails_with(
            capfd, tmp_path, "--jpg", CAT, "--wav", short_recording, "--out", tmp_path / "x.mp4"
        )
        assert message == f"{CAT}: no face found\n"


ALL_BUT_ONE = np.full((68, 3), 50.0)
ALL_BUT_ONE[16, :2] = 90, 120


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((68, 2)), r"shape \(68, 2\), expected \(68, 3\)"),
        (np.full((68, 3), np.nan), "not finite"),
        (np.full((68, 3), 9999.0), "0 of 68 landmarks lie in the image of 512 x 512"),
        (np.full((68, 3), 50.0), "same x"),
        (ALL_BUT_ONE, "not a face"),
        (np.array([{}]), "not a NumPy file"),
        (None, "cannot be read: No such file"),
    ],
)
def test_wrong_landmarks(tmp_path, capfd, short_recording, array, reason):
    path = tmp_path / "l.npy"
    if array is not None:
        np.save(path, array, allow_pickle=True)
    message = fails_with(
        capfd, tmp_path, "--landmarks", path, "--wav", short_recording, "--out", tmp_path / "x.mp4"
    )
    assert str(path) in message and re.search(reason, message)


class TestWrongRecordings:
    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("missing.wav", None, "no such audio file"),
            ("empty.wav", b"", "empty"),
            ("text.wav", b"not audio\n" * 50, "not an audio file"),
            ("portrait.jpg", PORTRAIT.read_bytes(), "no audio stream"),
        ],
    )
    def test_files(self, tmp_path, capfd, face_file, name, content, reason):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        out = tmp_path / "x.mp4"
        message = fails_with(capfd, tmp_path, "--landmarks", face_file, "--wav", path, "--out", out)
        assert str(path) in message and reason in message

    def test_nan(self, tmp_path, capfd, face_file):
        import soundfile

        path = tmp_path / "nan.wav"
        soundfile.write(path, np.full(16000, np.nan, np.float32), SAMPLE_RATE, subtype="FLOAT")
        message = fails_with(
            capfd, tmp_path, "--landmarks", face_file, "--wav", path, "--out", tmp_path / "x.mp4"
        )
        assert str(path) in message and "NaN" in message


class TestWeights:
    def test_a_part_of_the_published_set_names_the_rest(
        self, tmp_path, capfd, face_file, short_recording, published, monkeypatch
    ):
        folder = tmp_path / "ckpt"
        folder.mkdir()
        (folder / "embedded").symlink_to(pipeline.CHECKPOINTS / "embedded")
        for path in published.iterdir():
            if path.name not in ("ckpt_speaker_branch.pth", "obama_emb.txt"):
                (folder / path.name).symlink_to(path)
        monkeypatch.setattr(pipeline, "CHECKPOINTS", folder)
        arguments = ["--landmarks_only", f"--wav={short_recording}", f"--landmarks={face_file}"]
        arguments += [f"--out={tmp_path / 'l.npy'}"]
        assert main_end2end.main(arguments) == 0
        output = capfd.readouterr()
        assert output.err == (
            "the published set lacks ckpt_speaker_branch.pth, obama_emb.txt: "
            "using the embedded weights instead\n"
        )
        assert "weights of the motion networks: embedded\n" in output.out

        for name in ("ckpt_speaker_branch.pth", "obama_emb.txt"):
            (folder / name).symlink_to(published / name)
        assert main_end2end.main(arguments) == 0
        assert "weights of the motion networks: published\n" in capfd.readouterr().out

    def test_missing_and_misshapen_tensors_are_named(
        self, tmp_path, capfd, face_file, short_recording, published
    ):
        import torch

        whole = torch.load(published / "ckpt_content_branch.pth", weights_only=True)
        lacking = dict(whole["model_g_face_id"])
        del lacking["fc_prior.0.weight"]
        misshapen = dict(whole["model_g_face_id"])
        misshapen["fc_prior.0.bias"] = torch.zeros(7)
        for weights, reason in (
            (lacking, "missing tensors: fc_prior.0.weight"),
            (misshapen, "misshapen tensors: fc_prior.0.bias is (7,), not (256,)"),
        ):
            path = tmp_path / "content.pth"
            torch.save({"model_g_face_id": weights}, path)
            message = fails_with(
                capfd,
                tmp_path,
                *("--load_a2l_C_name", path, "--landmarks", face_file, "--wav", short_recording),
                *("--out", tmp_path / "x.mp4"),
            )
            assert message == f"{path}: {reason}\n"

    @pytest.mark.parametrize("option", ["--load_AUTOVC_name", "--load_G_name"])
    def test_malice_is_refused_and_not_run(
        self, tmp_path, capfd, face_file, short_recording, option
    ):
        path, trace = tmp_path / "evil.pth", tmp_path / "trace"

        class Evil:
            def __reduce__(self):
                return os.system, (f"touch {trace}",)

        path.write_bytes(pickle.dumps({"model": Evil()}, protocol=2))
        arguments = [option, path, "--landmarks", face_file, "--wav", short_recording]
        message = fails_with(capfd, tmp_path, *arguments, "--out", tmp_path / "x.mp4")
        assert str(path) in message and "system" in message and not trace.exists()

    def test_absent_files_that_were_asked_for(
        self, tmp_path, capfd, short_recording, face_file, monkeypatch
    ):
        end = ["--wav", short_recording, "--landmarks", face_file, "--out", tmp_path / "x.mp4"]
        for option in ("--load_AUTOVC_name", "--load_a2l_C_name", "--load_a2l_G_name"):
            message = fails_with(capfd, tmp_path, option, tmp_path / "no.pth", *end)
            assert message.startswith(f"{tmp_path / 'no.pth'}: no such checkpoint")
        monkeypatch.setattr(pipeline, "CHECKPOINTS", tmp_path)
        message = fails_with(capfd, tmp_path, "--renderer", "unet", *end)
        assert message.startswith("--renderer unet: needs ") and "--load_G_name" in message

    def test_another_speaker_s_motion(
        self, tmp_path, capfd, face_file, short_recording, monkeypatch
    ):
        path = tmp_path / "emb.pickle"
        embedding = np.random.default_rng(0).normal(size=256).astype(np.float32) / 16
        path.write_bytes(pickle.dumps({"ann": embedding, "bob": -embedding}))
        monkeypatch.setattr(jobs, "EMBEDDINGS", path)
        arguments = ["--landmarks_only", f"--wav={short_recording}", f"--landmarks={face_file}"]
        arguments += [f"--output_folder={tmp_path}"]
        assert main_end2end.main([*arguments, "--reuse_train_emb_list", "ann", "bob"]) == 0
        written = [tmp_path / f"astronaut_pred_fls_short_{name}.npy" for name in ("ann", "bob")]
        ann, bob = (np.load(path) for path in written)
        assert ann.shape == bob.shape and np.abs(ann - bob).max() > 0.01
        message = fails_with(capfd, tmp_path, *arguments, "--reuse_train_emb_list", "carol")
        assert message.startswith(f"{path}: ") and "'carol'" in message


class TestWrongOptions:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["--fps", "0"], "'0' is not a finite number from 1 to 240"),
            (["--fps", "nan"], "'nan' is not a finite number"),
            (["--amp_pos", "inf"], "'inf' is not a finite number"),
            (["--seed", "-1"], "is not a whole number from 0"),
            (["--renderer", "magic"], "invalid choice: 'magic'"),
            (["--unknown"], "unrecognized arguments: --unknown"),
            (["--wav"], "expected one argument"),
            (["--wav", "welcome_slt.wav", "--out", "x.avi"], "must end in .mp4"),
            (["--out", "x.mp4"], "names one file, but there are 2 videos"),
            (["--wav", "welcome_slt.wav", "--out", "/proc/no/x.mp4"], "cannot be written"),
            (["--wav", "welcome_slt.wav", "--output_folder", "/dev/null"], "cannot be written"),
        ],
    )
    def test_one_line(self, tmp_path, capfd, monkeypatch, arguments, reason):
        monkeypatch.chdir(tmp_path)
        assert reason in fails_with(capfd, tmp_path, *arguments)

    def test_a_folder_without_recordings(self, tmp_path, capfd, monkeypatch):
        monkeypatch.setattr(jobs, "EXAMPLES", tmp_path)
        assert "no .wav file in it" in fails_with(capfd, tmp_path, "--jpg", PORTRAIT)

    def test_inputs_are_not_overwritten(self, tmp_path, capfd, short_recording):
        video = tmp_path / "voice.mp4"
        shutil.copy(short_recording, video)
        before = video.read_bytes()
        message = fails_with(capfd, tmp_path, "--wav", video, "--out", video)
        assert "over an input" in message and video.read_bytes() == before

    def test_cuda_where_there_is_none(self, tmp_path, capfd, short_recording):
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
        out = tmp_path / "x.mp4"
        message = fails_with(
            capfd, tmp_path, "--device=cuda", "--wav", short_recording, "--out", out
        )
        assert message.startswith("--device cuda: ")


class TestStages:
    def test_landmarks_are_sampled_between_their_frames(self):
        track = np.arange(126, dtype=np.float32)[:, None, None] * np.ones((1, 68, 3), np.float32)
        sampled = pipeline.sample_landmarks(track, 25.0, 2.0)
        assert np.allclose(sampled[:, 0, 0], 2.5 * np.arange(50))
        assert np.allclose(pipeline.sample_landmarks(track, 62.5, 126 / 62.5), track)
        beyond = pipeline.sample_landmarks(track[:3], 25.0, 0.2)
        assert np.allclose(beyond[:, 0, 0], [0, 2, 2, 2, 2])
        assert len(pipeline.sample_landmarks(track, 25, 4.876875)) == 122
        assert len(pipeline.sample_landmarks(track, 25, 0.001)) == 1

    def test_large_images_shrink_with_their_landmarks(self, face_file, tmp_path):
        image = np.zeros((1201, 2001, 3), np.uint8)
        face = np.load(face_file)
        portrait = load_portrait(image, face_file, max_size=1000)
        assert portrait.image.shape == (600, 1000, 3)
        expected = (face[:, :2] + 0.5) * (1000 / 2001, 600 / 1201) - 0.5
        assert np.allclose(portrait.landmarks[:, :2], expected)
        assert np.allclose(portrait.to_file_pixels(portrait.landmarks)[:, :2], face[:, :2])
        np.save(tmp_path / "small.npy", face / 10)
        small = load_portrait(image[:301, :203], tmp_path / "small.npy", max_size=1000)
        assert small.image.shape == (302, 204, 3)
        assert np.allclose(small.landmarks, face / 10, atol=1e-9)

    def test_transparency_becomes_white(self):
        image = np.zeros((2, 2, 4), np.uint8)
        image[0, :, 3] = 255
        assert flatten(image)[:, :, 0].tolist() == [[0, 0], [255, 255]]
