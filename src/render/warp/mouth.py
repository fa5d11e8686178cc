"""The synthetic inside of a mouth that a portrait does not show: cavity, two rows of teeth, tongue.

Everything is drawn once per portrait, in *mouth units*: the origin is the middle of the closed
lips, x runs from the subject's right corner to the left one, y down, and one unit is the distance
between the corners. `MouthInside.render` warps the drawn layers into a frame.
"""

import functools

import cv2
import numpy as np

from src.render.warp.plane import LUMINANCE, affine

# Half sizes of the drawn layers, in mouth units: lips open at most about half a mouth width.
HALF_WIDTH, HALF_HEIGHT = 0.70, 0.62
# Pixels of a mouth unit at which teeth are drawn, to be resized to the portrait's mouth.
TEETH_UNIT = 800
# Crown widths of one half row in mouth units, middle to back. Central incisors are 8.5 mm, a mouth
# about 52 mm (standard dental anatomy tables); the rows curve backwards, so the outer ones shrink.
UPPER_CROWNS = (0.160, 0.122, 0.118, 0.085, 0.062)
LOWER_CROWNS = (0.098, 0.105, 0.105, 0.080, 0.060)
# Biting edges at rest, below the line of the closed lips (2 mm of the upper teeth show).
UPPER_EDGE, LOWER_EDGE = 0.050, -0.012
CROWN_HEIGHT = 0.42


@functools.cache
def draw_teeth(*, upper: bool) -> np.ndarray:
    """Draw the upper or the lower row of teeth with `TEETH_UNIT` pixels a mouth unit.

    Returns:
        (H, W, 2) float32 0-1: shade and alpha; the middle is the mouth's origin.
    """
    half_size = np.array((int(HALF_WIDTH * TEETH_UNIT), int(HALF_HEIGHT * TEETH_UNIT)))
    alpha, shade = np.zeros((2, *2 * half_size[::-1]), np.float32)
    crowns = np.array(UPPER_CROWNS if upper else LOWER_CROWNS)
    middles = np.cumsum(crowns) - crowns / 2
    for number, (width, middle) in enumerate(zip(crowns, middles, strict=True)):
        # The biting edge of the upper row rises to the back; the lateral incisor is shorter.
        if upper:
            top = UPPER_EDGE - 0.10 * middle**2 - (0.012 if number == 1 else 0.0) - CROWN_HEIGHT
        else:
            top = LOWER_EDGE - 0.02 * middle**2
        # Deeper in the mouth it is darker.
        light = np.clip(1.0 - 3.0 * middle**2, 0.25, 1.0) * (1.0 if upper else 0.72)
        radius = min(0.030 if upper else 0.022, 0.4 * width)
        inset = np.array((radius + 0.0033, radius))
        for side in (-1, 1):
            low = np.array((side * middle - width / 2, top)) + inset
            high = np.array((side * middle + width / 2, top + CROWN_HEIGHT)) - inset
            ends = [np.round(end * TEETH_UNIT + half_size).astype(int) for end in (low, high)]
            for layer, value in ((alpha, 1.0), (shade, float(light))):
                # A thick outline rounds the corners.
                cv2.rectangle(layer, *ends, value, cv2.FILLED)
                cv2.rectangle(layer, *ends, value, round(2 * radius * TEETH_UNIT))
    # Between two teeth there is shadow, not a hole: the row itself is opaque but for its edge.
    closed = cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, np.ones((1, 25), np.uint8))
    shade = cv2.GaussianBlur(shade, (0, 0), 0.0065 * TEETH_UNIT)
    if upper:
        # The edge is thin and catches less light; the gum side lies in the lip's shadow.
        y = np.linspace(-HALF_HEIGHT, HALF_HEIGHT, len(shade), dtype=np.float32)[:, None]
        shade *= np.clip(0.90 + 1.1 * (UPPER_EDGE - y), 0.86, 1.0)
    return np.dstack([shade, cv2.GaussianBlur(closed, (0, 0), 0.006 * TEETH_UNIT)])


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

        size = (2 * int(HALF_WIDTH * unit), 2 * int(HALF_HEIGHT * unit))

        def teeth_layer(colour: np.ndarray, row: np.ndarray) -> np.ndarray:
            row = cv2.resize(row, size, interpolation=cv2.INTER_AREA)
            layer = np.dstack([dark + (colour - dark) * row[..., :1], row[..., 1]])
            return cv2.GaussianBlur(layer.astype(np.float32), (0, 0), blur)

        self.upper = teeth_layer(teeth, draw_teeth(upper=True))
        x, y = np.meshgrid(*((np.arange(n, dtype=np.float32) - (n - 1) / 2) / unit for n in size))
        # The cavity: darkest in the upper middle, slightly flesh-coloured below and at the sides.
        depth = np.clip(0.55 + 1.3 * y, 0, 1) * np.clip(1 - 1.2 * x * x, 0.4, 1)
        depth = depth[..., None]
        self.back = (dark * (0.60 + 0.65 * depth) + 0.10 * lip * depth).astype(np.float32)
        # The tongue, behind the lower teeth.
        opacity = np.exp(-(((x / 0.30) ** 2) ** 1.5) - np.clip((0.0 - y) / 0.06, 0, 9) ** 2)
        light = np.clip(1.05 - 0.9 * np.abs(y - 0.08) - 0.5 * x * x, 0.3, 1.0)
        light *= 1 - 0.16 * np.exp(-((x / 0.02) ** 2))  # the groove
        lower = teeth_layer(0.80 * teeth, draw_teeth(upper=False))
        behind = 0.92 * opacity[..., None] * (1 - lower[..., 3:])
        alpha = lower[..., 3:] + behind
        colour = lower[..., :3] * lower[..., 3:] + flesh * light[..., None] * behind
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
