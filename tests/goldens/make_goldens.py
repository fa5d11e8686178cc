"""Make the golden files beside this script from the parity numbers in ../shared/parity.

    python -m tests.goldens.make_goldens

Those numbers are outputs of the published release's code with filled weights (see tests/parity.py).
The goldens are a part of them, small enough for the repository, so that parity with the release is
tested in every clone. They hold no audio and none of the release's constants (standard face,
feature statistics, target embedding): landmarks come without the depth, which is the standard
face's; features are standardised; and the depth's contribution to the content branch, a constant,
is part of `content_bias`, the bias of the first layer that receives the face.
"""

import json
from pathlib import Path

import numpy as np

from tests.parity import PARITY, filled_state_dict

FOLDER = Path(__file__).parent
STEP = 6  # of the frames of a sequence of landmarks, one is kept


def networks() -> dict[str, np.ndarray]:
    """Outputs of the networks, every second row or pixel of the larger ones."""
    arrays = dict(np.load(PARITY / "networks.npz"))
    for name in ("autovc_mel", "autovc_mel_postnet"):
        arrays[name] = arrays[name][:, ::2]
    for name in ("content_displacement", "speaker_displacement", "speaker_encoding"):
        arrays[name] = arrays[name][::2]
    arrays["image_translation_rgb"] = arrays["image_translation_rgb"][:, :, ::2, ::2]
    return arrays


def pipeline() -> dict[str, np.ndarray]:
    """Inputs and outputs of geometry and motion, in x and y."""
    whole = np.load(PARITY / "pipeline.npz")
    mean, std = np.loadtxt(PARITY / "MEAN_STD_AUTOVC_RETRAIN_MEL_AU.txt").reshape(2, 80)
    face = whole["landmarks_normalised"]
    shapes = json.loads((PARITY / "state_dicts.json").read_text())["content"]
    layer = filled_state_dict({key: shapes[key] for key in ("fc.0.weight", "fc.0.bias")})
    weight, bias = (tensor.double().numpy() for tensor in layer.values())
    depth = np.zeros_like(face)
    depth[:, 2] = face[:, 2]
    return {
        "landmarks_in": whole["landmarks_in"],
        "landmarks_normalised": face[:, :2],
        "scale": whole["scale"],
        "shift": whole["shift"],
        "landmarks_closed_mouth": whole["landmarks_closed_mouth"],
        "features": ((whole["autovc_mel"] - mean) / std).astype(np.float32),
        "speaker_embedding": whole["speaker_embedding"],
        "content_bias": (bias + weight[:, -face.size :] @ depth.ravel()).astype(np.float32),
        "landmarks_predicted": whole["landmarks_predicted"][::STEP, :, :2],
        "landmarks_final": whole["landmarks_final"][::STEP, :, :2],
        "landmarks_frame10": whole["landmarks_final"][10, :, :2],
        "landmark_image_frame10": whole["landmark_image_frame10"],
    }


def main() -> None:
    np.savez_compressed(FOLDER / "networks.npz", **networks())
    np.savez_compressed(FOLDER / "pipeline.npz", **pipeline())
    shapes = json.loads((PARITY / "state_dicts.json").read_text())
    lines = [
        f'"{name}": {json.dumps(entry, separators=(",", ":"))}' for name, entry in shapes.items()
    ]
    (FOLDER / "state_dicts.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
