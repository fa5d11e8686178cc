"""The inside of a mouth that a portrait does not show: a dark cavity, two rows of teeth, a tongue.

Everything is painted once per portrait, in *mouth units*: the origin is the middle of the closed
lips, x runs from the subject's right corner to the left one, y down, and one unit is the distance
between the corners. `MouthInside.tile` brings the painting into a frame.
"""

import cv2
import numpy as np

from src.render.warp.plane import LUMINANCE_SHARES

# Half sizes of the painted tile, in mouth units: lips open at most about half a mouth width.
TILE_HALF_WIDTH = 0.70
TILE_HALF_HEIGHT = 0.62
# Painted this many times larger than shown, then averaged down: that is the antialiasing.
SUPERSAMPLING = 4
# But not beyond so many pixels a mouth unit, to spare memory.
LARGEST_TILE = 1200
# Crown widths of one half row in mouth units, middle to back. Central incisors are 8.5 mm, a mouth
# about 52 mm (standard dental anatomy tables); the rows curve backwards, so the outer ones shrink.
UPPER_CROWNS = (0.160, 0.122, 0.118, 0.085, 0.062)
LOWER_CROWNS = (0.098, 0.105, 0.105, 0.080, 0.060)
# Where the biting edges lie at rest, below the line of the closed lips (2 mm of the upper show).
UPPER_EDGE = 0.050
LOWER_EDGE = -0.012


def painted_teeth(size: int, crowns: tuple[float, ...], *, upper: bool) -> np.ndarray:
    """One row of teeth as grey shading and coverage.

    size: pixels per mouth unit. crowns: widths of half a row in mouth units, middle first.
    Returns (H, W, 2) float32, 0-1: shade and alpha; the tile's middle is the mouth's origin.
    """
    factor = max(1, min(SUPERSAMPLING, LARGEST_TILE // size))
    scale = size * factor
    half_width, half_height = int(TILE_HALF_WIDTH * scale), int(TILE_HALF_HEIGHT * scale)
    alpha = np.zeros((2 * half_height, 2 * half_width), np.float32)
    shade = np.zeros_like(alpha)
    x = 0.0
    for number, width in enumerate(crowns):
        middle = x + width / 2
        x += width
        # The biting edge of the upper row rises to the back; the lateral incisor is shorter.
        if upper:
            bottom = UPPER_EDGE - 0.10 * middle**2 - (0.012 if number == 1 else 0.0)
            top = bottom - 0.42
        else:
            top = LOWER_EDGE - 0.02 * middle**2
            bottom = top + 0.42
        for side in (-1, 1):
            corner = 0.030 if upper else 0.022
            left, right = side * middle - width / 2, side * middle + width / 2
            inset = 0.0045
            box = rounded_box(left + inset, top, right - inset, bottom, min(corner, 0.4 * width))
            points = np.round((box * scale + (half_width, half_height)) * 16).astype(np.int32)
            cv2.fillPoly(alpha, [points], 1.0, cv2.LINE_AA, 4)
            # Deeper in the mouth it is darker.
            light = np.clip(1.0 - 3.0 * middle**2, 0.25, 1.0) * (1.0 if upper else 0.72)
            cv2.fillPoly(shade, [points], float(light), cv2.LINE_AA, 4)
    # Between two teeth there is shadow, not a hole: the row itself is opaque but for its edge.
    closed = cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, np.ones((1, int(0.03 * scale) | 1), np.uint8))
    shade = np.where(alpha > 0.02, shade, 0)
    shade = cv2.GaussianBlur(shade, (0, 0), 0.0065 * scale)
    row = np.dstack([shade, cv2.GaussianBlur(closed, (0, 0), 0.006 * scale)])
    rows = np.linspace(-TILE_HALF_HEIGHT, TILE_HALF_HEIGHT, row.shape[0], dtype=np.float32)[:, None]
    if upper:
        # The edge is thin and catches less light; the gum side lies in the lip's shadow.
        row[..., 0] *= np.clip(0.90 + 1.1 * (UPPER_EDGE - rows), 0.86, 1.0)
    return cv2.resize(
        row,
        (2 * half_width // factor, 2 * half_height // factor),
        interpolation=cv2.INTER_AREA,
    )


def rounded_box(left: float, top: float, right: float, bottom: float, radius: float) -> np.ndarray:
    """Outline (N, 2) of a box with rounded corners."""
    angle = np.linspace(0, np.pi / 2, 9)
    quarter = np.stack([np.cos(angle), np.sin(angle)], 1) * radius
    turns = []
    for (cx, cy), (sx, sy) in (
        ((right - radius, bottom - radius), (1, 1)),
        ((left + radius, bottom - radius), (-1, 1)),
        ((left + radius, top + radius), (-1, -1)),
        ((right - radius, top + radius), (1, -1)),
    ):
        turn = quarter * (sx, sy) + (cx, cy)
        turns.append(turn if sx * sy > 0 else turn[::-1])
    return np.concatenate(turns)


class MouthInside:
    """The painted inside of one portrait's mouth.

    width: distance of the mouth's corners in pixels.
    skin: BGR colour (3,) of the cheeks, lip: of the lips, 0-255: they give the light and tint.
    highlight: luminance 0-255 of the brightest parts of the face, which bounds that of the teeth.
    blur: pixels of Gaussian blur that match the portrait's sharpness.
    """

    def __init__(
        self, width: float, skin: np.ndarray, lip: np.ndarray, highlight: float, blur: float
    ) -> None:
        size = max(int(round(width)), 16)
        self.size = size
        luminance = float(skin @ LUMINANCE_SHARES)
        skin = skin.astype(np.float32)
        lip = lip.astype(np.float32)
        # Teeth are nearly white, seen in the light that falls on the skin, inside a shaded hole.
        white = np.clip(0.72 * max(luminance, 0.75 * highlight) + 0.25 * highlight, 40, 232)
        # On stone lips are as pale as teeth: then the teeth lie in shade, or none would be seen.
        lip_luminance = float(lip @ LUMINANCE_SHARES)
        colourless = float(np.ptp(skin)) < 0.25 * float(skin.max())
        if colourless and lip_luminance > 0.85 * luminance:
            white = min(white, 0.70 * lip_luminance)
        tint = 0.52 * skin / max(luminance, 1.0) + 0.48
        teeth = np.clip(white * tint, 0, 255)
        # Inside it is redder than outside, if the picture has colours at all.
        colour = min(float(np.ptp(skin)) / max(float(skin.max()), 1.0) / 0.35, 1.0)
        redder = (1 + colour * np.array((-0.30, -0.28, 0.12))).astype(np.float32)
        dark = (0.03 * skin + 0.16 * lip) * redder
        flesh = (0.50 * lip + 0.05 * skin) * redder

        upper = painted_teeth(size, UPPER_CROWNS, upper=True)
        lower = painted_teeth(size, LOWER_CROWNS, upper=False)
        height, breadth = upper.shape[:2]
        y, x = np.mgrid[:height, :breadth].astype(np.float32)
        x = (x - (breadth - 1) / 2) / size
        y = (y - (height - 1) / 2) / size

        # The cavity: darkest in the upper middle, a breath of flesh below and at the sides.
        depth = (
            np.clip(0.55 + 1.3 * y, 0, 1)[..., None] * np.clip(1 - 1.2 * x * x, 0.4, 1)[..., None]
        )
        back = dark * (0.60 + 0.65 * depth) + 0.10 * lip * depth
        self.upper = self._layer(teeth, upper, dark, blur)
        self.back = back.astype(np.float32)

        tongue = np.exp(-(((x / 0.30) ** 2) ** 1.5) - np.clip((0.0 - y) / 0.06, 0, 9) ** 2)
        light = np.clip(1.05 - 0.9 * np.abs(y - 0.08) - 0.5 * x * x, 0.3, 1.0)
        tongue_colour = (
            flesh * light[..., None] * (1 - 0.16 * np.exp(-((x / 0.02) ** 2)))[..., None]
        )
        lower_layer = self._layer(0.80 * teeth, lower, dark, blur)
        colour = np.dstack([tongue_colour, tongue * 0.92]).astype(np.float32)
        self.lower = over(lower_layer, colour)

    @staticmethod
    def _layer(colour: np.ndarray, row: np.ndarray, dark: np.ndarray, blur: float) -> np.ndarray:
        shade = row[..., :1]
        layer = np.dstack([dark + (colour - dark) * shade, row[..., 1]]).astype(np.float32)
        return cv2.GaussianBlur(layer, (0, 0), blur) if blur > 0.2 else layer

    def tile(
        self,
        size: tuple[int, int],
        upper: np.ndarray,
        lower: np.ndarray,
        light: np.ndarray,
        *,
        upper_teeth: bool = True,
    ) -> np.ndarray:
        """The inside as seen in a part of a frame.

        size: (width, height) of that part. upper, lower: 2x3 affine maps from mouth units to its
        pixels, for what hangs on the skull and on the jaw. light: (height, width) 0-1, how much
        light gets there. upper_teeth: False where the portrait shows its own.
        Returns (height, width, 3) float32 BGR.
        """
        upper_map, lower_map = self._from_tile(upper), self._from_tile(lower)
        back = cv2.warpAffine(self.back, upper_map, size, borderMode=cv2.BORDER_REPLICATE)
        low = cv2.warpAffine(self.lower, lower_map, size, borderMode=cv2.BORDER_CONSTANT)
        light = light[..., None]
        inside = back + (low[..., :3] * (0.35 + 0.65 * light) - back) * low[..., 3:]
        if not upper_teeth:
            return inside
        high = cv2.warpAffine(self.upper, upper_map, size, borderMode=cv2.BORDER_CONSTANT)
        return inside + (high[..., :3] * (0.34 + 0.66 * light) - inside) * high[..., 3:]

    def _from_tile(self, affine: np.ndarray) -> np.ndarray:
        height, breadth = self.back.shape[:2]
        to_units = np.array(
            [[1 / self.size, 0, -(breadth - 1) / 2 / self.size],
             [0, 1 / self.size, -(height - 1) / 2 / self.size],
             [0, 0, 1]]
        )  # fmt: skip
        return affine @ to_units


def over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Composite of two straight-alpha layers (H, W, 4), alpha 0-1."""
    alpha = top[..., 3:] + bottom[..., 3:] * (1 - top[..., 3:])
    colour = top[..., :3] * top[..., 3:] + bottom[..., :3] * bottom[..., 3:] * (1 - top[..., 3:])
    return np.dstack([colour / np.maximum(alpha, 1e-4), alpha]).astype(np.float32)
