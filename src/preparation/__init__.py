"""The steps from clips and recordings to dumps; each keeps what an earlier run has finished.

Under ``<root_dir>``: ``clips/*.npz`` (tracked faces and sound, and how far they are out of step),
``clips.csv`` (all clips, and what is wrong with those that are left out), ``splits.json``,
``analysed/*.npz`` (what is heard in them), ``synthetic/*.npz`` (speech with phone times),
``dump/faces.npz`` (standard face, lip map), ``dump/voices.npz`` (for AutoVC) and the landmark dumps
of ``src.training.dumps``.
"""
