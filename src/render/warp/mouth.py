"""The synthetic inside of a mouth that a portrait does not show: cavity, two rows of teeth, tongue.

Everything is drawn once per portrait, in *mouth units*: the origin is the middle of the closed
lips, x runs from the subject's right corner to the left one, y down, and one unit is the distance
between the corners. `MouthInside.render` warps the drawn layers into a frame.
"""

import cv2
import numpy as np

from src.render.warp.plane import LUMINANCE, affine

# Half sizes of the drawn layers, in mouth units: lips open at most about half a mouth width.
HALF_WIDTH, HALF_HEIGHT = 0.70, 0.62
# Antialiasing: drawn this many times larger and averaged, but to at most so many pixels a unit.
SUPERSAMPLING, MAX_UNIT = 4, 1200
# Crown widths of one half row in mouth units, middle to back. Central incisors are 8.5 mm, a mouth
# about 52 mm (standard dental anatomy tables); the rows curve backwards, so the outer ones shrink.
UPPER_CROWNS = (0.160, 0.122, 0.118, 0.085, 0.062)
LOWER_CROWNS = (0.098, 0.105, 0.105, 0.080, 0.060)
# Biting edges at rest, below the line of the closed lips (2 mm of the upper teeth show).
UPPER_EDGE, LOWER_EDGE = 0.050, -0.012
CROWN_HEIGHT = 0.42


def draw_teeth(unit: int, crowns: tuple[float, ...], *, upper: bool) -> np.ndarray:
    """Draw one row of teeth as grey shading and alpha.

    Args:
        unit: pixels of a mouth unit.
        crowns: widths of half a row in mouth units, middle first.
        upper: the upper row, else the lower one.

    Returns:
        (H, W, 2) float32 0-1: shade and alpha; the middle is the mouth's origin.
    """
    factor = max(1, min(SUPERSAMPLING, MAX_UNIT // unit))
    scale = unit * factor
    half_width, half_height = int(HALF_WIDTH * scale), int(HALF_HEIGHT * scale)
    alpha = np.zeros((2 * half_height, 2 * half_width), np.float32)
    shade = np.zeros_like(alpha)
    x = 0.0
    for number, width in enumerate(crowns):
        middle = x + width / 2
        x += width
        # The biting edge of the upper row rises to the back; the lateral incisor is shorter.
        if upper:
            bottom = UPPER_EDGE - 0.10 * middle**2 - (0.012 if number == 1 else 0.0)
            top = bottom - CROWN_HEIGHT
        else:
            top = LOWER_EDGE - 0.02 * middle**2
            bottom = top + CROWN_HEIGHT
        # Deeper in the mouth it is darker.
        light = np.clip(1.0 - 3.0 * middle**2, 0.25, 1.0) * (1.0 if upper else 0.72)
        radius = min(0.030 if upper else 0.022, 0.4 * width)
        for side in (-1, 1):
            left, right = side * middle - width / 2, side * middle + width / 2
            outline = rounded_box(left + 0.0045, top, right - 0.0045, bottom, radius)
            points = np.round((outline * scale + (half_width, half_height)) * 16).astype(np.int32)
            cv2.fillPoly(alpha, [points], 1.0, cv2.LINE_AA, 4)
            cv2.fillPoly(shade, [points], float(light), cv2.LINE_AA, 4)
    # Between two teeth there is shadow, not a hole: the row itself is opaque but for its edge.
    closed = cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, np.ones((1, int(0.03 * scale) | 1), np.uint8))
    shade = cv2.GaussianBlur(np.where(alpha > 0.02, shade, 0), (0, 0), 0.0065 * scale)
    row = np.dstack([shade, cv2.GaussianBlur(closed, (0, 0), 0.006 * scale)])
    if upper:
        # The edge is thin and catches less light; the gum side lies in the lip's shadow.
        y = np.linspace(-HALF_HEIGHT, HALF_HEIGHT, row.shape[0], dtype=np.float32)[:, None]
        row[..., 0] *= np.clip(0.90 + 1.1 * (UPPER_EDGE - y), 0.86, 1.0)
    size = (2 * half_width // factor, 2 * half_height // factor)
    return cv2.resize(row, size, interpolation=cv2.INTER_AREA)


def rounded_box(left: float, top: float, right: float, bottom: float, radius: float) -> np.ndarray:
    """Outline (N, 2) of a box with rounded corners."""
    angle = np.pi / 2 * (np.arange(4)[:, None] + np.linspace(0, 1, 9))
    low, high = np.array((left, top)) + radius, np.array((right, bottom)) - radius
    centres = np.array([high, (low[0], high[1]), low, (high[0], low[1])])
    arcs = centres[:, None] + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    return arcs.reshape(-1, 2)


class MouthInside:
    """The synthetic inside of one portrait's mouth.

    Args:
        width: distance of the mouth's corners in pixels.
        skin: BGR colour (3,) of the cheeks, 0-255, which gives the light and tint.
        lip: that of the lips.
        highlight: luminance 0-255 of the brightest parts of the face, a bound of the teeth's.
    """

    def __init__(self, width: float, skin: np.ndarray, lip: np.ndarray, highlight: float) -> None:
        self.unit = unit = max(int(round(width)), 16)
        blur = max(0.010 * width, 0.6)  # matches the portrait's sharpness
        luminance = float(skin @ LUMINANCE)
        skin = skin.astype(np.float32)
        lip = lip.astype(np.float32)
        # Teeth are nearly white, seen in the light that falls on the skin, inside a shaded hole.
        white = np.clip(0.72 * max(luminance, 0.75 * highlight) + 0.25 * highlight, 40, 232)
        # On stone lips are as pale as teeth: then the teeth lie in shade, or none would be visible.
        lip_luminance = float(lip @ LUMINANCE)
        colourless = float(np.ptp(skin)) < 0.25 * float(skin.max())
        if colourless and lip_luminance > 0.85 * luminance:
            white = min(white, 0.70 * lip_luminance)
        tint = 0.52 * skin / max(luminance, 1.0) + 0.48
        teeth = np.clip(white * tint, 0, 255)
        # Inside it is redder than outside, if the image has colours at all.
        saturation = min(float(np.ptp(skin)) / max(float(skin.max()), 1.0) / 0.35, 1.0)
        redder = (1 + saturation * np.array((-0.30, -0.28, 0.12))).astype(np.float32)
        dark = (0.03 * skin + 0.16 * lip) * redder
        flesh = (0.50 * lip + 0.05 * skin) * redder

        def teeth_layer(colour: np.ndarray, row: np.ndarray) -> np.ndarray:
            layer = np.dstack([dark + (colour - dark) * row[..., :1], row[..., 1]])
            return cv2.GaussianBlur(layer.astype(np.float32), (0, 0), blur)

        upper = draw_teeth(unit, UPPER_CROWNS, upper=True)
        self.upper = teeth_layer(teeth, upper)
        height, breadth = upper.shape[:2]
        y, x = np.mgrid[:height, :breadth].astype(np.float32)
        x = (x - (breadth - 1) / 2) / unit
        y = (y - (height - 1) / 2) / unit
        # The cavity: darkest in the upper middle, a breath of flesh below and at the sides.
        depth = (
            np.clip(0.55 + 1.3 * y, 0, 1)[..., None] * np.clip(1 - 1.2 * x * x, 0.4, 1)[..., None]
        )
        self.back = (dark * (0.60 + 0.65 * depth) + 0.10 * lip * depth).astype(np.float32)
        # The tongue, behind the lower teeth.
        opacity = np.exp(-(((x / 0.30) ** 2) ** 1.5) - np.clip((0.0 - y) / 0.06, 0, 9) ** 2)
        light = np.clip(1.05 - 0.9 * np.abs(y - 0.08) - 0.5 * x * x, 0.3, 1.0)
        groove = 1 - 0.16 * np.exp(-((x / 0.02) ** 2))
        tongue = flesh * light[..., None] * groove[..., None]
        tongue = np.dstack([tongue, opacity * 0.92]).astype(np.float32)
        lower = teeth_layer(0.80 * teeth, draw_teeth(unit, LOWER_CROWNS, upper=False))
        behind = tongue[..., 3:] * (1 - lower[..., 3:])
        alpha = lower[..., 3:] + behind
        colour = lower[..., :3] * lower[..., 3:] + tongue[..., :3] * behind
        self.lower = np.dstack([colour / np.maximum(alpha, 1e-4), alpha]).astype(np.float32)

    def render(
        self,
        size: tuple[int, int],
        upper: np.ndarray,
        lower: np.ndarray,
        light: np.ndarray,
        *,
        upper_teeth: bool = True,
    ) -> np.ndarray:
        """Render the inside in a part of a frame.

        Args:
            size: (width, height) of that part.
            upper: affine map from mouth units to its pixels, of the skull.
            lower: that of the jaw.
            light: (height, width) 0-1, the light that gets there.
            upper_teeth: False where the portrait shows its own.

        Returns:
            (height, width, 3) float32 BGR.
        """
        height, breadth = self.back.shape[:2]
        middle = np.array((breadth - 1, height - 1)) / 2
        to_units = affine(np.eye(2) / self.unit, -middle / self.unit)
        upper, lower = (upper @ to_units)[:2], (lower @ to_units)[:2]
        back = cv2.warpAffine(self.back, upper, size, borderMode=cv2.BORDER_REPLICATE)
        low = cv2.warpAffine(self.lower, lower, size)
        light = light[..., None]
        inside = back + (low[..., :3] * (0.35 + 0.65 * light) - back) * low[..., 3:]
        if not upper_teeth:
            return inside
        high = cv2.warpAffine(self.upper, upper, size)
        return inside + (high[..., :3] * (0.34 + 0.66 * light) - inside) * high[..., 3:]
