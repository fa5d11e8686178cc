"""A still portrait that follows moved landmarks, at the picture's own resolution, without a network.

A frame is built backwards: for each of its pixels, where in the portrait it comes from.

1. *Head*: the similarity between the landmarks asked for and the portrait's, fading out from the
   head to the picture's border and the shoulders (`HeadFollow`). Hair goes along, the background rests.
2. *Face*: what remains (lips, jaw, brows, turning) is a smooth field through all landmarks, exact in
   them. Upper and lower lip are two sheets of their own, so that nothing is stretched across the mouth.
3. *Mouth*: between the lips the inside shows: the portrait's own pixels where its mouth is open,
   painted ones (`mouth.MouthInside`) where it is not.
4. *Lids*: the eyeball stays, the skin above and below comes over it.

Landmarks are the 68 points of `src.landmarks.topology`; only x and y are used.
"""

import cv2
import numpy as np
from scipy.spatial import Delaunay

from src.frames.mouth import MouthInside
from src.frames.warp import sample

# Lengths in units of the face (jaw width, or 1.25 times the distance from the nose's root to the chin if
# that is more, as in a half profile). Set by eye on photographs and paintings.
# Half axes of eggs round the point between the eyes: to the right, to the left, above and below. Head and
# hair move as one; outside the second egg all rests; what the face does by itself ends at the third.
HEAD_EGG = (0.74, 0.74, 0.86, 0.98)
REST_EGG = (1.50, 1.50, 1.55, 1.95)
FACE_EGG = (0.74, 0.74, 0.74, 1.40)
# Between head and rest there is at least this much, or the background would tear.
LEAST_FALLOFF = 0.30
BORDER_BAND = 0.40
# Softness of the kernel: the field is smooth within this distance of a landmark.
KERNEL_SOFTNESS = 0.03
NODES_PER_FACE = 44
NODES_PER_MOUTH = 30

# Points that move with the skull, to find the head's motion by.
SKULL_POINTS = np.array([0, 1, 2, 14, 15, 16, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45])
# Lips are followed exactly. The rest gives way, by about this many face units, where neighbours pull apart:
# in a half profile, jaw and nose nearly meet, and exactness would fold the cheek between them.
SLACK = np.full(68, 1e-5)
SLACK[0:17], SLACK[17:27], SLACK[27:36], SLACK[36:48] = 0.05, 0.02, 0.02, 0.004
LID_POINTS = (37, 38, 40, 41, 43, 44, 46, 47)
UPPER_OUTER, LOWER_OUTER = (48, 49, 50, 51, 52, 53, 54), (54, 55, 56, 57, 58, 59, 48)
UPPER_INNER, LOWER_INNER = (60, 61, 62, 63, 64), (64, 65, 66, 67, 60)
INNER_PAIRS = ((61, 67), (62, 66), (63, 65))
# Above this gap between the inner lips, in mouth widths, the portrait shows the inside of its mouth.
OPEN_GAP = 0.04
# Lips less than this many pixels apart are shut.
LEAST_OPENING = 0.25
# Above this one its teeth, if it has any, are seen enough to be kept.
TEETH_GAP = 0.11
# (outer corner, two upper points, inner corner), two lower points, brow: in order of growing x.
EYES = (
    ((36, 37, 38, 39), (36, 41, 40, 39), (17, 18, 19, 20, 21)),
    ((42, 43, 44, 45), (42, 47, 46, 45), (22, 23, 24, 25, 26)),
)
# Skin and red of the lips are not pressed together to less than these shares of what they are at rest.
# Neighbours among the other points come no closer, and go no farther, than this share of their distance.
MOST_STRAIN = 0.55
LEAST_SKIN, LEAST_LIP = 0.50, 0.45
# Places along an eye, 0 and 1 its corners, where the colour of its closed lid is known.
LID_POSITIONS = np.linspace(0, 1, 17, dtype=np.float32)
LUMINANCE = np.array((0.114, 0.587, 0.299), np.float32)


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    value = np.clip(value, 0.0, 1.0)
    return value * value * (3.0 - 2.0 * value)


def curve(points: np.ndarray, per_segment: int) -> np.ndarray:
    """Smooth curve through points (N, 2): Catmull-Rom, (N - 1) * per_segment + 1 samples."""
    before = 2 * points[0] - points[1]
    after = 2 * points[-1] - points[-2]
    p = np.concatenate([before[None], points, after[None]])
    t = np.arange(per_segment)[:, None, None] / per_segment
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    samples = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return np.concatenate([samples.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares rotation, scale and shift that takes source (N, 2) to target (N, 2): a 2x3 matrix."""
    source_mean, target_mean = source.mean(0), target.mean(0)
    s, t = source - source_mean, target - target_mean
    norm = (s * s).sum()
    a = (s * t).sum() / norm
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / norm
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def invert(affine: np.ndarray) -> np.ndarray:
    """Inverse of a 2x3 affine map."""
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a 2x3 affine map."""
    return points @ affine[:, :2].T + affine[:, 2]


class FaceFrame:
    """The face's own axes: origin between the eyes, x along them, y down, unit = the face's size."""

    def __init__(self, landmarks: np.ndarray) -> None:
        right, left = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
        axis = (left - right) / np.linalg.norm(left - right)
        self.unit = max(
            np.linalg.norm(landmarks[16] - landmarks[0]),
            1.25 * np.linalg.norm(landmarks[8] - landmarks[27]),
        )
        self.axes = np.array([axis, (-axis[1], axis[0])])
        centre = landmarks.mean(0)
        eyes = (right + left) / 2
        self.origin = eyes + axis * ((centre - eyes) @ axis)

    def local(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to face units."""
        return (points - self.origin) @ self.axes.T / self.unit

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Face units (..., 2) to pixels."""
        return points @ self.axes * self.unit + self.origin


def egg_radius(points: np.ndarray, axes: tuple[float, float, float, float]) -> np.ndarray:
    """How far out points (..., 2) in face units lie: 1 on an egg with these half axes.

    axes: to smaller x, to larger x, above, below.
    """
    left, right, above, below = axes
    x, y = points[..., 0], points[..., 1]
    return np.hypot(x / np.where(x < 0, left, right), y / np.where(y < 0, above, below))


class HeadFollow:
    """How much of the head's motion each place of the picture takes over, per axis.

    1 on head and hair, falling smoothly to 0 at the shoulders and the picture's border. A border holds
    only the motion across it: along it pixels may slide, and nothing from outside comes in.
    """

    def __init__(self, frame: FaceFrame, size: tuple[int, int], landmarks: np.ndarray) -> None:
        self.frame = frame
        self.size = np.array(size, float)
        low, high = landmarks.min(0), landmarks.max(0)
        band = BORDER_BAND * frame.unit
        # Where there is room, all rests at the border; a head that fills the picture slides along it.
        self.rest_axes = [*REST_EGG]
        for axis, direction in enumerate(((-1, 0), (1, 0), (0, -1))):
            outwards = frame.axes.T @ direction
            with np.errstate(divide="ignore"):
                room = np.where(outwards < 0, frame.origin, self.size - 1 - frame.origin)
                room = float((room / np.abs(outwards)).min()) / frame.unit
            self.rest_axes[axis] = float(
                np.clip(room, HEAD_EGG[axis] + LEAST_FALLOFF, REST_EGG[axis])
            )
        self.low_band = np.clip(0.9 * low, 4.0, band)
        self.high_band = np.clip(0.9 * (self.size - 1 - high), 4.0, band)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Weights (..., 2) for x and y at pixels (..., 2)."""
        local = self.frame.local(points)
        head = egg_radius(local, HEAD_EGG)
        rest = egg_radius(local, self.rest_axes)
        # Along a ray from the centre, radius over egg radius is the distance to the egg.
        ratio = rest / np.maximum(head, 1e-6)
        inside = 1.0 - smoothstep((rest - ratio) / np.maximum(1.0 - ratio, 1e-3))
        border = np.minimum(points / self.low_band, (self.size - 1 - points) / self.high_band)
        return inside[..., None] * smoothstep(border)


class Sheet:
    """A smooth displacement field through control points, the more loosely the more slack they have."""

    def __init__(
        self, points: np.ndarray, displacement: np.ndarray, slack: np.ndarray, unit: float
    ) -> None:
        self.unit = unit
        self.centre = points.mean(0)
        self.points = ((points - self.centre) / unit).astype(np.float32)
        count = len(points)
        system = np.zeros((count + 1, count + 1))
        system[:count, :count] = self._kernel(self.points) - np.diag(slack)
        system[:count, count] = system[count, :count] = 1
        right = np.zeros((count + 1, 2))
        right[:count] = displacement
        self.weights = np.linalg.solve(system, right).astype(np.float32)

    def _kernel(self, places: np.ndarray) -> np.ndarray:
        square = -2 * (places @ self.points.T)
        square += (places**2).sum(1)[:, None]
        square += (self.points**2).sum(1) + KERNEL_SOFTNESS**2
        return np.sqrt(np.maximum(square, 0, out=square), out=square)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Displacement (N, 2) at pixels (N, 2)."""
        places = ((places - self.centre) / self.unit).astype(np.float32)
        return self._kernel(places) @ self.weights[:-1] + self.weights[-1]


class Grid:
    """Nodes every `step` pixels over a box of the picture; fields live on them and are enlarged."""

    def __init__(self, box: tuple[int, int, int, int], step: int) -> None:
        self.left, self.top, self.right, self.bottom = box
        self.step = step
        self.columns = -(-(self.right - self.left) // step)
        self.rows = -(-(self.bottom - self.top) // step)
        x = self.left + (np.arange(self.columns) + 0.5) * step - 0.5
        y = self.top + (np.arange(self.rows) + 0.5) * step - 0.5
        self.nodes = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)

    def enlarge(self, values: np.ndarray) -> np.ndarray:
        """Values at the nodes (N, C) to pixels (H, W, C) of the box."""
        values = values.reshape(self.rows, self.columns, -1).astype(np.float32)
        size = (self.columns * self.step, self.rows * self.step)
        # A node is the middle of its cell, which is what resizing takes a pixel for.
        large = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        return large[: self.bottom - self.top, : self.right - self.left]

    def pixels(self) -> np.ndarray:
        """Coordinates (H, W, 2) of the box's pixels."""
        x = np.arange(self.left, self.right, dtype=np.float32)
        y = np.arange(self.top, self.bottom, dtype=np.float32)
        return np.stack(np.meshgrid(x, y), -1)


def filled(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Antialiased mask (H, W) float32 0-1 of a polygon (N, 2) in a box of (width, height) pixels."""
    # OpenCV antialiases 8-bit images only.
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def clipped_box(
    low: np.ndarray, high: np.ndarray, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Whole pixels (left, top, right, bottom) of a box inside a picture of (width, height)."""
    left, top = np.clip(np.floor(low), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(high) + 1, 0, size).astype(int)
    return int(left), int(top), int(right), int(bottom)


class PortraitRenderer:
    """Renders a portrait with other landmarks.

    picture: (H, W, 3) uint8 BGR. landmarks: (68, 2 or 3), pixels of the picture, which `render` takes for
    rest: rendering them gives the picture back.
    """

    def __init__(self, picture: np.ndarray, landmarks: np.ndarray) -> None:
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(f"a picture (H, W, 3) of uint8 was expected, not {picture.shape}")
        if landmarks.shape[0] != 68 or not np.isfinite(landmarks[:, :2]).all():
            raise ValueError("68 landmarks of finite numbers were expected")
        self.picture = np.ascontiguousarray(picture)
        height, width = picture.shape[:2]
        self.size = (width, height)
        self.asked_at_rest = landmarks[:, :2].astype(np.float64)
        self.mouth_width = max(np.linalg.norm(self.asked_at_rest[54] - self.asked_at_rest[48]), 4.0)
        gap = np.linalg.norm(self.asked_at_rest[62] - self.asked_at_rest[66])
        self.shows_inside = gap > OPEN_GAP * self.mouth_width
        self.rest = self.asked_at_rest.copy()
        if not self.shows_inside:
            self._snap_to_parting()

        self.frame = FaceFrame(self.rest)
        self.follow = HeadFollow(self.frame, self.size, self.rest)
        self._prepare_grid()
        self._prepare_controls()
        self._prepare_inside()
        self.correction = self.rest - self.asked_at_rest
        self.lid_colours = [self._lid_skin(eye) if self._eye_is_bare(eye) else None for eye in EYES]

    # ---- preparation -----------------------------------------------------------------------------

    def _prepare_grid(self) -> None:
        left, right, above, below = self.follow.rest_axes
        reach = np.array([[-left, -above], [right, -above], [-left, below], [right, below]])
        corners = self.frame.pixels(1.02 * reach)
        box = clipped_box(corners.min(0), corners.max(0), self.size)
        step = max(2, int(round(self.frame.unit / NODES_PER_FACE)))
        self.grid = Grid(box, step)
        self.grid_follow = self.follow(self.grid.nodes).astype(np.float32)
        self.grid_pixels = self.grid.pixels()

    def _prepare_controls(self) -> None:
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], 1)
        ring /= egg_radius(ring, FACE_EGG)[:, None]
        self.ring = self.frame.pixels(ring)
        still = np.array([*range(36), 36, 39, 42, 45, 48, 54])
        triangles = still[Delaunay(self.rest[still]).simplices]
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        self.still_edges = np.unique(np.sort(edges, 1), axis=0)
        lengths = np.linalg.norm(np.subtract(*self.rest[self.still_edges.T]), axis=1)
        self.still_lengths = np.maximum(lengths, 0.08 * self.frame.unit)
        shared = [i for i in range(48) if i not in LID_POINTS]
        self.upper_points = [*shared, *UPPER_OUTER, *UPPER_INNER]
        self.lower_points = [*shared, *LOWER_OUTER, *LOWER_INNER]

    def _prepare_inside(self) -> None:
        """Colours and pixels for the inside of the mouth."""
        rest, picture = self.rest, self.picture
        patches = [
            0.5 * (rest[2] + rest[31]), 0.5 * (rest[14] + rest[35]),
            0.4 * rest[3] + 0.6 * rest[48], 0.4 * rest[13] + 0.6 * rest[54], rest[30],
        ]  # fmt: skip
        radius = max(int(0.03 * self.frame.unit), 1)
        samples = [np.empty((0, 3), np.uint8)]
        for place in patches:
            left, top, right, bottom = clipped_box(place - radius, place + radius, self.size)
            samples.append(picture[top:bottom, left:right].reshape(-1, 3))
        samples = np.concatenate(samples)
        skin = np.median(samples, 0) if len(samples) else np.full(3, 128.0)
        lips = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(lips, [np.round(rest[48:60]).astype(np.int32)], 1)
        if self.shows_inside:
            cv2.fillPoly(lips, [np.round(rest[60:68]).astype(np.int32)], 0)
        lip_pixels = picture[lips > 0]
        lip = np.median(lip_pixels, 0) if len(lip_pixels) else 0.8 * skin
        face = np.zeros_like(lips)
        outline = np.concatenate([rest[:17], rest[26:16:-1]])
        cv2.fillPoly(face, [np.round(outline).astype(np.int32)], 1)
        face_pixels = picture[face > 0].astype(np.float32) @ LUMINANCE
        highlight = np.percentile(face_pixels, 97) if len(face_pixels) else 200.0
        self.inside = MouthInside(
            self.mouth_width, skin, lip, float(highlight), max(0.010 * self.mouth_width, 0.6)
        )
        # Mouth units to portrait pixels.
        axis = (rest[54] - rest[48]) / self.mouth_width
        down = np.array([-axis[1], axis[0]])
        upper, lower = rest[[61, 62, 63]].mean(0), rest[[65, 66, 67]].mean(0)
        # Where the lips would meet, were they closed.
        middle = upper + 0.35 * (lower - upper)
        self.mouth_units = np.column_stack(
            [axis * self.mouth_width, down * self.mouth_width, middle]
        )
        self.lower_units = self.mouth_units
        self.mouth_down = down
        self.shows_teeth = False
        if self.shows_inside:
            self._prepare_own_inside(lip, skin)

    def _prepare_own_inside(self, lip: np.ndarray, skin: np.ndarray) -> None:
        """Mask of the portrait's own teeth, if any; lip, skin: their BGR colours (3,).

        Lips are red: what they lack against teeth is blue and green.
        """
        rest = self.rest

        def core() -> np.ndarray:
            edges = [curve(rest[list(edge)], 6) for edge in (UPPER_INNER, LOWER_INNER)]
            rim = max(0.015 * self.mouth_width, 0.6)
            soft = cv2.GaussianBlur(filled(np.concatenate(edges), self.size), (0, 0), rim)
            return np.clip(2.0 * soft - 1.0, 0, 1)

        self.own_inside = core()
        pale = self.picture[self.own_inside > 0.5][:, :2].min(1)
        gap = np.linalg.norm(rest[66] - rest[62]) / self.mouth_width
        least = max(1.4 * float(lip[:2].min()), 0.75 * float(skin[:2].min()))
        self.shows_teeth = gap > TEETH_GAP and pale.size > 0 and np.percentile(pale, 80) > least
        if self.shows_teeth:
            self._snap_to_teeth()
            self.own_inside = core()
        # The lower row hangs on the lower lip, which is not in the middle of an open mouth.
        self.lower_units = self.mouth_units.copy()
        self.lower_units[:, 2] = rest[[65, 66, 67]].mean(0)

    def _snap_to_parting(self) -> None:
        """Puts the inner lips of a closed mouth on the dark line where the lips part.

        Detectors are a pixel or two off, and then an opening mouth would tear a strip off one lip.
        """
        rest = self.rest
        corners = rest[60], rest[64]
        axis = (rest[54] - rest[48]) / self.mouth_width
        down = np.array([-axis[1], axis[0]])
        middle = curve(
            np.array([corners[0], *[(rest[a] + rest[b]) / 2 for a, b in INNER_PAIRS], corners[1]]),
            8,
        )
        reach = 0.055 * self.mouth_width
        offsets = np.linspace(-reach, reach, 23)
        places = (middle[:, None] + offsets[:, None] * down).astype(np.float32)
        grey = self.picture.astype(np.float32) @ LUMINANCE
        grey = cv2.GaussianBlur(grey, (0, 0), max(0.012 * self.mouth_width, 0.5))
        profile = cv2.remap(
            grey, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        spread = profile.max() - profile.min()
        if spread < 4:
            return
        cost = (profile - profile.min(1, keepdims=True)) / spread + 0.25 * (offsets / reach) ** 2
        # The cheapest smooth path from corner to corner, column by column.
        step = 0.12 * np.abs(np.arange(23)[:, None] - np.arange(23)) ** 2
        total, back = [cost[0]], []
        for column in cost[1:]:
            arrive = total[-1][None, :] + step
            back.append(arrive.argmin(1))
            total.append(column + arrive.min(1))
        path = [int(total[-1].argmin())]
        for best in reversed(back):
            path.append(int(best[path[-1]]))
        # A detector's lips are off as a whole, not wavy.
        along = np.linspace(-1, 1, len(path))
        shift = np.polyval(np.polyfit(along, offsets[path[::-1]], 2), along)
        for number, (upper, lower) in enumerate(INNER_PAIRS):
            at = 8 * (number + 1)
            rest[upper] = rest[lower] = middle[at] + shift[at] * down

    def _snap_to_teeth(self) -> None:
        """Puts the inner lips of a mouth that shows teeth on the edge between teeth and lips."""
        rest = self.rest
        axis = (rest[54] - rest[48]) / self.mouth_width
        down = np.array([-axis[1], axis[0]])
        pale = self.picture[..., :2].min(2).astype(np.float32)
        pale = cv2.GaussianBlur(pale, (0, 0), max(0.010 * self.mouth_width, 0.4))
        for points, outwards in (((61, 62, 63), -1), ((67, 66, 65), 1)):
            offsets = np.linspace(-0.03, 0.08, 34) * self.mouth_width
            places = rest[list(points)][:, None] + offsets[:, None] * outwards * down
            places = places.astype(np.float32)
            profile = cv2.remap(
                pale,
                places[..., 0],
                places[..., 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
            fall = -np.gradient(profile, axis=1) - 0.3 * np.abs(offsets) / self.mouth_width
            found = offsets[fall.argmax(1)]
            found = np.where(fall.max(1) > 1.0, found, 0.0)
            # A little beyond it, lest a rim of teeth hang on the lip.
            beyond = np.median(found) + 0.012 * self.mouth_width
            rest[list(points)] += beyond * outwards * down

    def _eye_is_bare(self, eye: tuple) -> bool:
        """False where something dark covers the eye, as sunglasses do: there is no lid to close."""
        upper, lower, _ = eye
        outline = self.rest[[*upper, lower[2], lower[1]]]
        width = np.linalg.norm(self.rest[upper[3]] - self.rest[upper[0]])
        cheek = outline.mean(0) + 1.25 * width * self.frame.axes[1]
        low, high = outline.min(0), outline.max(0)
        light = []
        for box in ((low, high), (cheek - 0.15 * width, cheek + 0.15 * width)):
            left, top, right, bottom = clipped_box(*box, self.size)
            patch = self.picture[top:bottom, left:right].astype(np.float32) @ LUMINANCE
            light.append(float(np.percentile(patch, 80)) if patch.size else 0.0)
        return light[0] > 0.33 * light[1]

    def _lid_skin(self, eye: tuple) -> np.ndarray:
        """Colours (2, 17, 3) of a closed lid along the eye, at its top and at its lashes."""
        frame = EyeFrame(self.rest, eye)
        blurred = cv2.GaussianBlur(self.picture, (0, 0), max(0.05 * frame.width, 0.6))
        colours = []
        for edge, offset in (("upper", -0.15), ("lower", 0.18), ("lower", 0.32)):
            places = np.stack([LID_POSITIONS, frame.lid(LID_POSITIONS, edge) + offset], 1)
            x, y = frame.pixels(places).astype(np.float32).T
            row = cv2.remap(blurred, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            colours.append(row.reshape(-1, 3).astype(np.float32))
        above, below, bag = (cv2.GaussianBlur(row, (1, 9), 3.0) for row in colours)
        # Shadow of the brow and of the lashes lie on the two, more than on a shut lid.
        below = np.maximum(below, 0.8 * bag)
        return np.stack([0.65 * above + 0.35 * below, 0.15 * above + 0.82 * below])

    # ---- one frame -------------------------------------------------------------------------------

    def render(self, landmarks: np.ndarray) -> np.ndarray:
        """The portrait with these landmarks (68, 2 or 3) in pixels: (H, W, 3) uint8 BGR."""
        asked = landmarks[:, :2].astype(np.float64)
        if not np.isfinite(asked).all():
            raise ValueError("landmarks must be finite numbers")
        if np.abs(asked - self.asked_at_rest).max() < 1e-3:
            return self.picture.copy()
        moved = self._uncrossed(asked + self._corrected(asked))
        head = similarity(self.rest[SKULL_POINTS], moved[SKULL_POINTS])
        undo = invert(head)
        moved = self._with_room(self._calmed(moved, head, undo))
        stable = self._undone(moved, self.follow(moved), undo)

        upper = self._sheet(stable, self.upper_points, (UPPER_OUTER, UPPER_INNER))
        lower = self._sheet(stable, self.lower_points, (LOWER_OUTER, LOWER_INNER))
        lips = MouthLine(moved)
        displacement = self.grid.enlarge(self._field(undo, upper, lower, lips))
        source = self.grid_pixels + displacement
        self._refine_mouth(source, undo, upper, lower, lips, moved)

        left, top = self.grid.left, self.grid.top
        frame = self.picture.copy()
        view = frame[top : self.grid.bottom, left : self.grid.right]
        view[:] = sample(self.picture, source, cv2.INTER_CUBIC)
        for eye, colours in zip(EYES, self.lid_colours, strict=True):
            if colours is not None:
                self._move_lids(view, source, eye, colours, moved)
        self._fill_mouth(view, undo, head, stable, moved)
        return frame

    def _corrected(self, asked: np.ndarray) -> np.ndarray:
        """The correction (68, 2) of the lips' edges, less of it as an open mouth shuts."""
        if not self.shows_inside:
            return self.correction
        gap, gap_at_rest = (
            np.linalg.norm(points[66] - points[62]) for points in (asked, self.asked_at_rest)
        )
        return self.correction * min(gap / gap_at_rest, 1.0)

    def _uncrossed(self, moved: np.ndarray) -> np.ndarray:
        """Lips that overlap meet in the middle instead."""
        axis = moved[54] - moved[48]
        down = np.array([-axis[1], axis[0]]) / max(np.linalg.norm(axis), 1e-6)
        for upper, lower in INNER_PAIRS:
            overlap = (moved[upper] - moved[lower]) @ down
            if overlap > 0:
                moved[upper] -= 0.5 * overlap * down
                moved[lower] += 0.5 * overlap * down
        return moved

    def _calmed(self, moved: np.ndarray, head: np.ndarray, undo: np.ndarray) -> np.ndarray:
        """Less of what skull, brows and jaw do among themselves where it would fold the skin.

        Motion of a frontal face, put on a half profile, drives points together that are neighbours in
        this picture; all of it is lessened alike, the lips keep their shape and go along.
        """
        strange = apply(undo, moved) - self.rest
        start, end = self.still_edges.T
        strain = np.linalg.norm(strange[start] - strange[end], axis=1) / self.still_lengths
        share = MOST_STRAIN / max(float(strain.max()), MOST_STRAIN)
        if share == 1.0:
            return moved
        lips = strange[[48, 54]].mean(0)
        calm = np.concatenate([share * strange[:48], strange[48:] - (1 - share) * lips])
        return apply(head, self.rest + calm)

    def _with_room(self, moved: np.ndarray) -> np.ndarray:
        """Keeps skin between nose, lips and chin: landmarks that met would fold the picture.

        The inner lips keep their gap; where the upper one may not rise, the lower one falls instead.
        """
        axis = moved[54] - moved[48]
        down = np.array([-axis[1], axis[0]]) / max(np.linalg.norm(axis), 1e-6)

        def lack(above: int, below: int, least: float) -> float:
            wanted = least * abs((self.rest[below] - self.rest[above]) @ self.mouth_down)
            return max(wanted - float((moved[below] - moved[above]) @ down), 0.0)

        # Between the nose's base and the red of the upper lip, then the red itself.
        push = max(lack(n, lip, LEAST_SKIN) for n, lip in ((32, 50), (33, 51), (34, 52)))
        moved[49:54] += push * down
        thickness = max(
            lack(outer, inner, LEAST_LIP) for outer, inner in ((50, 61), (51, 62), (52, 63))
        )
        moved[60:68] += thickness * down
        thin = max(lack(inner, outer, LEAST_LIP) for inner, outer in ((67, 58), (66, 57), (65, 56)))
        moved[55:60] += thin * down
        moved[6:11] += lack(57, 8, LEAST_SKIN) * down
        return moved

    @staticmethod
    def _undone(points: np.ndarray, follow: np.ndarray, undo: np.ndarray) -> np.ndarray:
        """Points of the frame with the head's motion taken out."""
        return points + follow * (apply(undo, points) - points)

    def _sheet(self, stable: np.ndarray, points: list[int], curves: tuple) -> Sheet:
        at, target = [stable[points]], [self.rest[points]]
        for indices in curves:
            # Half-way points too, so that the lips' edges follow the curve and not only its knots.
            at.append(curve(stable[list(indices)], 2)[1::2])
            target.append(curve(self.rest[list(indices)], 2)[1::2])
        at, target = np.concatenate(at), np.concatenate(target)
        slack = np.full(len(at) + len(self.ring), 1e-5)
        slack[: len(points)] = SLACK[points]
        return Sheet(
            np.concatenate([at, self.ring]),
            np.concatenate([target - at, np.zeros_like(self.ring)]),
            slack,
            self.frame.unit,
        )

    def _field(self, undo: np.ndarray, upper: Sheet, lower: Sheet, lips: "MouthLine") -> np.ndarray:
        """Displacement (N, 2) from the frame to the portrait at the grid's nodes."""
        nodes = self.grid.nodes
        stable = self._undone(nodes, self.grid_follow, undo.astype(np.float32))
        displacement = stable - nodes
        radius = egg_radius(self.frame.local(stable), FACE_EGG)
        near = np.flatnonzero(radius < 1.25)
        share = lips.lower_share(nodes[near], self.grid.step)
        fade = 1.0 - smoothstep((radius[near] - 1.0) / 0.25)
        local = np.zeros((len(near), 2), np.float32)
        for sheet, weight in ((upper, 1.0 - share), (lower, share)):
            used = np.flatnonzero(weight > 0)
            local[used] += weight[used, None] * sheet(stable[near[used]])
        displacement[near] += fade[:, None] * local
        return displacement

    def _refine_mouth(self, source, undo, upper, lower, lips, moved) -> None:
        """Replaces the coarse field round the mouth by a fine one, cut exactly where the lips part."""
        margin = 0.35 * self.mouth_width
        outline = moved[48:68]
        box = self._box_in_grid(outline.min(0) - margin, outline.max(0) + margin)
        if box is None:
            return
        grid = Grid(box, max(1, int(self.mouth_width / NODES_PER_MOUTH)))
        stable = self._undone(grid.nodes, self.follow(grid.nodes), undo)
        base = stable - grid.nodes
        fields = grid.enlarge(np.concatenate([base + upper(stable), base + lower(stable)], 1))
        pixels = grid.pixels()
        share = lips.lower_share(pixels, 0.5)[..., None]
        fine = pixels + fields[..., :2] + share * (fields[..., 2:] - fields[..., :2])
        edge = np.minimum(
            np.minimum(pixels[..., 0] - box[0], box[2] - 1 - pixels[..., 0]),
            np.minimum(pixels[..., 1] - box[1], box[3] - 1 - pixels[..., 1]),
        )
        weight = smoothstep(edge / (0.12 * self.mouth_width))[..., None]
        view = source[
            box[1] - self.grid.top : box[3] - self.grid.top,
            box[0] - self.grid.left : box[2] - self.grid.left,
        ]
        view += weight * (fine - view)

    def _box_in_grid(self, low: np.ndarray, high: np.ndarray) -> tuple[int, int, int, int] | None:
        left, top, right, bottom = clipped_box(low, high, self.size)
        left, top = max(left, self.grid.left), max(top, self.grid.top)
        right, bottom = min(right, self.grid.right), min(bottom, self.grid.bottom)
        return (left, top, right, bottom) if right - left > 2 and bottom - top > 2 else None

    # ---- mouth -----------------------------------------------------------------------------------

    def _fill_mouth(self, view, undo, head, stable, moved) -> None:
        """Puts the mouth's inside between the inner lips."""
        upper_edge = curve(moved[list(UPPER_INNER)], 6)
        lower_edge = curve(moved[list(LOWER_INNER)], 6)[::-1]
        axis = (moved[54] - moved[48]) / max(np.linalg.norm(moved[54] - moved[48]), 1e-6)
        down = np.array([-axis[1], axis[0]])
        gap = (lower_edge - upper_edge) @ down
        widest = gap.max()
        if widest < LEAST_OPENING:
            return
        lower_edge = lower_edge + np.maximum(-gap, 0)[:, None] * down
        outline = np.concatenate([upper_edge, lower_edge[::-1]])
        margin = 0.15 * self.mouth_width + 3
        box = self._box_in_grid(outline.min(0) - margin, outline.max(0) + margin)
        if box is None:
            return
        left, top, right, bottom = box
        mask = filled(outline - (left, top), (right - left, bottom - top))
        # A polygon thinner than a pixel is still drawn as a line: weaken it to what it covers.
        mask *= min((widest - LEAST_OPENING) / 1.25, 1.0)
        light = np.clip(
            (cv2.GaussianBlur(mask, (0, 0), 0.045 * self.mouth_width) - 0.25) / 0.50, 0, 1
        )
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.007 * self.mouth_width, 0.4))

        # What hangs on the skull goes with the head and the nose's base, the jaw with the lower lip.
        drift = (stable - self.rest)[[33, 48, 54]].mean(0)
        fall = (stable - self.rest)[[57, 58, 56, 66]].mean(0)
        to_box = np.column_stack([np.eye(2), (-left, -top)])
        upper_map = chain(to_box, head, shifted(drift), self.mouth_units)
        lower_map = chain(to_box, head, shifted(fall), self.lower_units)
        size = (right - left, bottom - top)
        inside = self.inside.tile(
            size, upper_map, lower_map, light, upper_teeth=not self.shows_teeth
        )
        if self.shows_inside:
            inside = self._with_own_inside(
                inside, size, chain(to_box, head, shifted(drift)), stable
            )
        place = view[
            top - self.grid.top : bottom - self.grid.top,
            left - self.grid.left : right - self.grid.left,
        ]
        mixed = place + (inside - place) * mask[..., None]
        place[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _with_own_inside(self, painted, size, to_box, stable) -> np.ndarray:
        """The portrait's own teeth over the painted inside."""
        # At rest all pixels are the portrait's; when lips part, their rim must not be left behind.
        lips = stable[60:68] - self.rest[60:68]
        parted = np.linalg.norm(lips - lips.mean(0), axis=1).max() / self.mouth_width
        # Where the upper lip rises, its teeth are seen to be longer, not its gums to end.
        rise = min(float((lips[1:4].mean(0) - lips[[0, 4]].mean(0)) @ self.mouth_down), 0.0)
        mix = float(smoothstep(np.float64(parted / 0.04)))
        rise -= 0.022 * self.mouth_width * mix
        to_box = chain(to_box, shifted(rise * self.mouth_down))
        own = cv2.warpAffine(
            self.picture, to_box, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        kept = cv2.warpAffine(self.own_inside, to_box, size) if self.shows_teeth else 0.0
        alpha = np.full(size[::-1], 1 - mix, np.float32) + mix * kept
        return painted + (own - painted) * alpha[..., None]

    # ---- eyes ------------------------------------------------------------------------------------

    def _move_lids(self, view, source, eye, colours, moved) -> None:
        """Brings the lids' skin over the eyeball, or lays more of it bare."""
        upper, lower, brow = eye
        rest_eye, eye_now = EyeFrame(self.rest, eye), EyeFrame(moved, eye)
        change = max(
            np.abs(rest_eye.upper[:, 1] - eye_now.upper[:, 1]).max(),
            np.abs(rest_eye.lower[:, 1] - eye_now.lower[:, 1]).max(),
        )
        if change < 0.004:
            return
        width = eye_now.width
        corners = eye_now.pixels(np.array([[-0.15, -0.9], [1.15, -0.9], [-0.15, 0.8], [1.15, 0.8]]))
        box = self._box_in_grid(corners.min(0), corners.max(0))
        if box is None:
            return
        left, top, right, bottom = box
        part = (
            slice(top - self.grid.top, bottom - self.grid.top),
            slice(left - self.grid.left, right - self.grid.left),
        )
        x = np.arange(left, right, dtype=np.float32)
        y = np.arange(top, bottom, dtype=np.float32)
        local = eye_now.local(np.stack(np.meshgrid(x, y), -1))
        u, t = local[..., 0], local[..., 1]
        lid_now, lid_rest = eye_now.lid(u, "upper"), rest_eye.lid(u, "upper")
        low_now, low_rest = eye_now.lid(u, "lower"), rest_eye.lid(u, "lower")
        low_now = np.maximum(low_now, lid_now)

        closing = np.clip((lid_now - lid_rest) / 0.20, 0, 1)
        # Upper lid: the skin between brow and lashes is stretched over the eye, most of all in its
        # middle, so that lashes and brow keep their width.
        brow_edge = lid_rest - np.maximum(0.62 * (lid_rest - eye_now.brow(u)), 0.12)
        length_now, length_rest = np.maximum(lid_now - brow_edge, 1e-3), lid_rest - brow_edge
        along = np.clip((t - brow_edge) / length_now, 0, 1)
        slope = np.minimum(length_now / length_rest, 2.6)
        along = along + (slope - 1) * along * (1 - along) * (1 - 2 * along)
        # A little higher than the edge found, lest the eye's own pixels hang on the lashes.
        upper_shift = brow_edge + length_rest * along - np.clip(t, brow_edge, lid_now)
        upper_shift -= 0.025 * closing * along
        cheek_edge = np.maximum(low_now, low_rest) + 0.45
        along = np.clip((cheek_edge - t) / np.maximum(cheek_edge - low_now, 1e-3), 0, 1)
        lower_shift = (low_rest - low_now + 0.05 * closing) * along
        middle = 0.5 * (lid_now + low_now)
        skin_shift = np.where(t < middle, upper_shift, lower_shift)
        # Eyeball: rests, but for an eye opened wider than the portrait's, where it is stretched.
        wide_up = np.clip(lid_rest / np.minimum(lid_now, -1e-3), 0, 1)
        wide_low = np.clip(low_rest / np.maximum(low_now, 1e-3), 0, 1)
        ball_shift = t * (np.where(t < 0, wide_up, wide_low) - 1.0)

        down = (rest_eye.axes[1] * rest_eye.width).astype(np.float32)
        here = source[part]
        skin, ball = (
            sample(
                self.picture, here + shift[..., None].astype(np.float32) * down, cv2.INTER_LINEAR
            )
            for shift in (skin_shift, ball_shift)
        )
        skin = self._with_lid_skin(skin, colours, u, t, lid_rest, lid_now, closing)
        # Signed distance into the opening, in pixels, for an antialiased edge.
        within = np.minimum(t - lid_now, low_now - t) * width
        opening = np.clip(within / 1.5, 0, 1) * ((u > 0) & (u < 1))
        frame = skin + (ball.astype(np.float32) - skin) * opening[..., None]

        ends = smoothstep(u / 0.1) * smoothstep((1 - u) / 0.1)
        lash = np.exp(-(((t - lid_now - 0.004) / 0.026) ** 2)) * closing * ends * 0.5
        frame *= 1.0 - lash[..., None]
        view[part] = np.clip(frame + 0.5, 0, 255).astype(np.uint8)

    @staticmethod
    def _with_lid_skin(skin, colours, u, t, lid_rest, lid_now, closing) -> np.ndarray:
        """Lays smooth skin over the stretched lid: its crease and shade would be stretched as well."""
        at = np.clip(u, 0, 1)
        top, lashes = (
            np.stack([np.interp(at, LID_POSITIONS, row[:, c]) for c in range(3)], -1)
            for row in colours
        )
        # From one colour to the other, so that the lid has no border at either side.
        height = (t - lid_rest + 0.09) / np.maximum(lid_now - lid_rest + 0.09, 1e-3)
        painted = top + (lashes - top) * smoothstep(height)[..., None]
        weight = smoothstep((t - lid_rest + 0.09) / 0.09) * smoothstep((lid_now - 0.02 - t) / 0.06)
        weight = weight * closing * smoothstep(u / 0.12) * smoothstep((1 - u) / 0.12) * 0.85
        return skin + (painted - skin) * weight[..., None]


class MouthLine:
    """The line between the lips of one frame, prolonged beyond the corners."""

    def __init__(self, moved: np.ndarray) -> None:
        across = moved[54] - moved[48]
        self.width = max(np.linalg.norm(across), 1e-6)
        axis = across / self.width
        self.axes = np.array([axis, (-axis[1], axis[0])])
        self.origin = (moved[48] + moved[54]) / 2
        middle = np.array(
            [
                moved[48],
                moved[60],
                *[(moved[a] + moved[b]) / 2 for a, b in INNER_PAIRS],
                moved[64],
                moved[54],
            ]
        )
        line = (middle - self.origin) @ self.axes.T
        order = np.argsort(line[:, 0], kind="stable")
        self.line = line[order]

    def lower_share(self, points: np.ndarray, softness: float) -> np.ndarray:
        """How much pixels (..., 2) belong to the lower lip's sheet, 0-1; softness in pixels."""
        local = (points - self.origin) @ self.axes.T
        x, y = local[..., 0], local[..., 1]
        line = np.interp(x, self.line[:, 0], self.line[:, 1])
        # Beyond the corners both sheets agree less and less sharply, so they are mixed more broadly.
        beyond = np.maximum(np.abs(x) - 0.47 * self.width, 0)
        band = softness + 0.8 * beyond
        return smoothstep(0.5 + 0.5 * (y - line) / band).astype(np.float32)


class EyeFrame:
    """One eye's axes: origin in the corner of smaller x, unit from corner to corner, y down."""

    def __init__(self, landmarks: np.ndarray, eye: tuple) -> None:
        upper, lower, brow = eye
        self.origin = landmarks[upper[0]]
        across = landmarks[upper[3]] - self.origin
        self.width = max(np.linalg.norm(across), 1e-6)
        axis = across / self.width
        self.axes = np.array([axis, (-axis[1], axis[0])])
        self.upper = curve(self.local(landmarks[list(upper)]), 6)
        self.lower = curve(self.local(landmarks[list(lower)]), 6)
        self.brows = self.local(landmarks[list(brow)])

    def local(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to the eye's units."""
        return (points - self.origin) @ self.axes.T / self.width

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """The eye's units (..., 2) to pixels."""
        return points @ self.axes * self.width + self.origin

    def lid(self, u: np.ndarray, which: str) -> np.ndarray:
        """Height of a lid's edge at positions u along the eye."""
        edge = self.upper if which == "upper" else self.lower
        return np.interp(u, edge[:, 0], edge[:, 1]).astype(np.float32)

    def brow(self, u: np.ndarray) -> np.ndarray:
        """Height of the brow's lower edge at positions u along the eye."""
        return np.interp(u, self.brows[:, 0], self.brows[:, 1]).astype(np.float32) + 0.10


def shifted(by: np.ndarray) -> np.ndarray:
    """2x3 affine map that adds a vector."""
    return np.column_stack([np.eye(2), by])


def chain(*affine: np.ndarray) -> np.ndarray:
    """Product of 2x3 affine maps, the last applied first."""
    product = np.eye(3)
    for one in affine:
        product = product @ np.vstack([one, (0, 0, 1)])
    return product[:2]
