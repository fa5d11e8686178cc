"""Files of weights: what is read, what is refused, and that nothing in a file is ever run."""

import dataclasses
import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from src.errors import InputError
from src.io import checkpoint as checkpoints
from src.models.config import ContentConfig, TranslationConfig, stored_config
from src.models.content import ContentBranch
from src.models.image_translation import ResUnetGenerator


class Malice:
    """Unpickled by a plain unpickler, it makes a file."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.system, (f"touch '{self.target}'",)


def small_content() -> ContentBranch:
    return ContentBranch(ContentConfig(prior_hidden=8, prior=8, lstm_size=8, lstm_layers=1))


def refuses(path, reader=checkpoints.read_checkpoint) -> str:
    with pytest.raises(InputError) as caught:
        reader(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_malicious_checkpoint_is_refused_by_name_and_runs_nothing(tmp_path, zipped):
    target = tmp_path / "executed"
    path = tmp_path / "ckpt.pth"
    content = {"G": {"w": torch.zeros(2)}, "opt": Malice(target)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert "system" in refuses(path) and "nothing in it was executed" in refuses(path)
    assert not target.exists()
    # The same file does harm where it is trusted, so the test tests something.
    torch.load(path, weights_only=False)
    assert target.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("suffix", [".pickle", ".pth"])
def test_malicious_plain_pickle_is_refused_and_runs_nothing(tmp_path, protocol, suffix):
    target = tmp_path / "executed"
    path = tmp_path / f"emb{suffix}"
    path.write_bytes(pickle.dumps({"somebody": Malice(target)}, protocol))
    if suffix == ".pickle":
        assert "system" in refuses(path, checkpoints.read_pickle)
    else:
        assert "damaged" in refuses(path) or "system" in refuses(path)
    assert not target.exists()


def test_malice_hidden_in_an_optimizer_is_refused(tmp_path):
    target = tmp_path / "executed"
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters())
    optimizer.defaults["lr"] = Malice(target)
    path = tmp_path / "ckpt.pth"
    torch.save({"G": network.state_dict(), "opt": optimizer}, path)
    assert "system" in refuses(path)
    assert not target.exists()


@pytest.mark.parametrize("module_name", ["builtins.eval", "builtins.getattr", "torch.load"])
def test_other_callables_are_refused_in_a_pickle(tmp_path, module_name):
    module, name = module_name.rsplit(".", 1)
    path = tmp_path / "emb.pickle"
    path.write_bytes(f"c{module}\n{name}\n(S'1+1'\ntR.".encode())
    assert name in refuses(path, checkpoints.read_pickle)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_checkpoint_laid_out_like_the_published_image_translation_loads(
    tmp_path, zipped, monkeypatch
):
    torch.manual_seed(0)
    network = ResUnetGenerator(TranslationConfig(num_downs=4, ngf=4))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.999))
    network(torch.rand(2, 6, 32, 32)).mean().backward()
    optimizer.step()
    wrapped = {f"module.{key}": value for key, value in network.state_dict().items()}
    path = tmp_path / "ckpt_116_i2i_comb.pth"
    torch.save(
        {"G": wrapped, "opt": optimizer, "epoch": 116},
        path,
        _use_new_zipfile_serialization=zipped,
    )

    def built(self, *args):
        raise AssertionError("an optimizer was built")

    monkeypatch.setattr(torch.optim.Optimizer, "__setstate__", built)
    monkeypatch.setattr(torch.optim.Adam, "__setstate__", built)
    checkpoint, config = checkpoints.read_checkpoint(path)
    assert set(checkpoint) == {"G", "epoch"} and checkpoint["epoch"] == 116 and config == {}
    again = ResUnetGenerator(TranslationConfig(num_downs=4, ngf=4))
    checkpoints.load_weights(again, checkpoints.checkpoint_part(checkpoint, "G", path), path)
    for key, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def test_only_the_wanted_part_of_a_large_optimizer_is_read(tmp_path):
    """The optimizer's tensors stay on the disk: they are mapped, not read."""
    weight = torch.nn.Parameter(torch.zeros(1 << 20))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    path = tmp_path / "ckpt.pth"
    torch.save({"G": {"w": weight.data[:4].clone()}, "opt": optimizer}, path)
    checkpoint, _ = checkpoints.read_checkpoint(path)
    assert list(checkpoint) == ["G"] and checkpoint["G"]["w"].shape == (4,)


def test_a_config_in_a_checkpoint_comes_back(tmp_path):
    network = small_content()
    path = tmp_path / "content.pth"
    torch.save(
        {"model_g_face_id": network.state_dict(), "config": dataclasses.asdict(network.config)},
        path,
    )
    checkpoint, config = checkpoints.read_checkpoint(path)
    again = ContentBranch(ContentConfig(**config))
    part = checkpoints.checkpoint_part(checkpoint, "model_g_face_id", path)
    checkpoints.load_weights(again, part, path)
    assert torch.equal(again.fc[0].weight, network.fc[0].weight)


def test_embedded_weights_are_half_as_large_and_come_back_as_float32(tmp_path):
    network = small_content()
    network.fc[1].num_batches_tracked.fill_(7)
    path = tmp_path / "content.safetensors"
    checkpoints.save_embedded(path, network.state_dict(), dataclasses.asdict(network.config))
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    checkpoint, config = checkpoints.read_checkpoint(path)
    assert stored_config(ContentConfig, config) == network.config
    assert checkpoint["fc.0.weight"].dtype == torch.float16
    again = ContentBranch(ContentConfig(**config))
    part = checkpoints.checkpoint_part(checkpoint, "model_g_face_id", path)
    checkpoints.load_weights(again, part, path)
    assert again.fc[0].weight.dtype == torch.float32
    assert again.fc[1].num_batches_tracked.item() == 7
    torch.testing.assert_close(again.fc[0].weight, network.fc[0].weight, atol=1e-3, rtol=1e-3)


def test_weights_beyond_float16_are_not_saved(tmp_path):
    with pytest.raises(ValueError, match="float16"):
        checkpoints.save_embedded(tmp_path / "x.safetensors", {"w": torch.tensor([7e4])}, {})
    assert not list(tmp_path.iterdir())


def test_missing_misshapen_and_broken_tensors_are_named():
    network = small_content()
    good = network.state_dict()
    without = {key: value for key, value in good.items() if key != "fc.3.bias"}
    with pytest.raises(InputError, match=r"a\.pth: missing tensors: fc\.3\.bias$"):
        checkpoints.load_weights(network, without, "a.pth")
    with pytest.raises(InputError, match=r"fc\.6\.bias is \(3,\), not \(204,\)"):
        checkpoints.load_weights(network, good | {"fc.6.bias": torch.zeros(3)}, "a.pth")
    with pytest.raises(InputError, match=r"not finite: fc\.6\.bias"):
        checkpoints.load_weights(
            network, good | {"fc.6.bias": torch.full((204,), torch.nan)}, "a.pth"
        )
    with pytest.raises(InputError, match=r"and 21 more$"):
        checkpoints.load_weights(network, {"fc.0.weight": "text"}, "a.pth")


def test_extra_tensors_are_dropped_and_old_files_without_counters_load(caplog):
    network = small_content()
    given = {
        key: value + 1
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    given |= {"comb_mlp.0.weight": torch.zeros(1), "stranger": torch.zeros(1)}
    network.unused = ("comb_mlp.",)
    checkpoints.load_weights(network, given, "a.pth")
    assert torch.equal(network.fc[6].bias, given["fc.6.bias"])
    assert "stranger" in caplog.text and "comb_mlp" not in caplog.text


def test_a_part_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"G": {"w": torch.zeros(1)}, "epoch": 3}, path)
    checkpoint, _ = checkpoints.read_checkpoint(path)
    with pytest.raises(InputError, match="'model'.*found 'G', 'epoch'"):
        checkpoints.checkpoint_part(checkpoint, "model", path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".pickle"])
def test_bad_files_end_in_one_line(tmp_path, suffix):
    reader = checkpoints.read_pickle if suffix == ".pickle" else checkpoints.read_checkpoint
    assert "No such file" in refuses(tmp_path / f"absent{suffix}", reader)
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    assert "cannot be read" in refuses(folder, reader)
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"")
    assert "empty" in refuses(path, reader)
    noise = np.random.default_rng(0).bytes(1000)
    for content in (b"not a checkpoint\n", bytes(1000), noise, b"\xff\xd8\xff\xe0JFIF"):
        path.write_bytes(content)
        assert "damaged" in refuses(path, reader)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_truncated_checkpoints_end_in_one_line(tmp_path, zipped):
    whole = io.BytesIO()
    torch.save({"G": {"w": torch.rand(5000)}}, whole, _use_new_zipfile_serialization=zipped)
    path = tmp_path / "cut.pth"
    for fraction in (0.01, 0.5, 0.99):
        path.write_bytes(whole.getvalue()[: int(fraction * len(whole.getvalue()))])
        assert "damaged" in refuses(path)


def test_truncated_safetensors_and_other_archives_end_in_one_line(tmp_path):
    path = tmp_path / "cut.safetensors"
    checkpoints.save_embedded(path, {"w": torch.rand(500)}, {})
    path.write_bytes(path.read_bytes()[:700])
    assert "damaged" in refuses(path)
    path = tmp_path / "archive.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "damaged" in refuses(path)
    with tarfile.open(path, "w") as archive:  # the format before PyTorch 0.1.10
        for name in ("storages", "tensors", "pickle"):
            archive.add(__file__, name)
    assert "damaged" in refuses(path)
    torch.save([1, 2], path)
    assert "list, not a checkpoint" in refuses(path)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_embeddings_and_dumps_come_back(tmp_path, protocol):
    embedding = np.linspace(0, 1, 256, dtype=np.float32)
    path = tmp_path / "emb.pickle"
    path.write_bytes(pickle.dumps({"somebody": embedding, "other": embedding[None]}, protocol))
    read = checkpoints.read_pickle(path)
    assert list(read) == ["somebody", "other"]
    np.testing.assert_array_equal(read["other"], embedding[None])
    path = tmp_path / "autovc_retrain_mel_train_au.pickle"
    dump = [(np.random.rand(5, 80), (0, "clip", embedding)), (np.float32(3), (1, b"x", None))]
    path.write_bytes(pickle.dumps(dump, protocol))
    (first, second) = checkpoints.read_pickle(path)
    np.testing.assert_array_equal(first[0], dump[0][0])
    assert first[1][:2] == (0, "clip") and second[0] == np.float32(3)


def test_arrays_of_objects_are_refused(tmp_path):
    path = tmp_path / "emb.pickle"
    path.write_bytes(pickle.dumps(np.array([{}], dtype=object)))
    assert "objects" in refuses(path, checkpoints.read_pickle)


class Forged:
    """Unpickled, it becomes an array whose bytes are read as pointers to objects."""

    def __reduce__(self):
        return np.ndarray, ((1,), np.dtype("O"), bytes(range(8)))


def test_arrays_of_forged_object_pointers_are_refused(tmp_path):
    path = tmp_path / "emb.pickle"
    path.write_bytes(pickle.dumps({"somebody": Forged()}))
    assert "objects" in refuses(path, checkpoints.read_pickle)
    fields = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
    dtype = np.dtype("S8", False, True)
    dtype.__setstate__(fields)  # denies that it holds objects
    path.write_bytes(pickle.dumps(np.frombuffer(bytes(range(8)), dtype)))
    assert "objects" in refuses(path, checkpoints.read_pickle)
