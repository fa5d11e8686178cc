"""Sizes of what the networks exchange with each other and with the code around them."""

LANDMARK_COUNT = 68
"""Landmarks of a face (iBUG 300-W), each (x, y, z)."""

FACE_SIZE = 3 * LANDMARK_COUNT
"""Coordinates of a flattened face."""

MEL_BANDS = 80
"""Mel bands of an audio frame (as in AutoVC)."""

F0_BINS = 257
"""Width of the one-hot F0: one unvoiced bin and 256 levels (as in AutoVC)."""

EMBEDDING_SIZE = 256
"""Width of a speaker embedding (Resemblyzer)."""

WINDOW = 18
"""Audio frames in the window that a landmark network reads for one frame (published release)."""

FRAME_MULTIPLE = 32
"""AutoVC's input is padded to a multiple of this many frames; `AutoVCConfig.freq` divides it."""

IMAGE_SIZE = 256
"""Side, in pixels, of the square image around a face that the image networks read and write."""
