"""Pencils for draw_puppets.py: smooth curves, a canvas that is drawn large, faces as 68 points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Points = Sequence[Sequence[float]] | np.ndarray
Colour = str | tuple[str, str] | np.ndarray
"""A hex colour, two of them from top to bottom, or a texture (H, W, 3) at the canvas's scale."""

SCALE = 3  # the canvas is drawn this much larger and then shrunk, which smooths every edge
STEPS = 14  # points that a curve gets between two of its own


def rgb(colour: str) -> np.ndarray:
    """(3,) float64 of `#rrggbb`."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float64)


def mix(first: str, second: str, share: float) -> str:
    """A colour between two; share 0 is the first."""
    blend = (1 - share) * rgb(first) + share * rgb(second)
    return "#" + "".join(f"{round(v):02x}" for v in np.clip(blend, 0, 255))


def curve(points: Points, closed: bool = False) -> np.ndarray:
    """A smooth line (N, 2) through points (Catmull-Rom)."""
    p = np.asarray(points, np.float64)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, STEPS, endpoint=False)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    line = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    line = line.reshape(-1, 2)
    return line if closed else np.concatenate([line, p[-2:-1]])


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> np.ndarray:
    """The outline (72, 2) of an ellipse; turn in degrees, clockwise on the screen."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    u, v = rx * np.cos(angle), ry * np.sin(angle)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.stack([x + u * c - v * s, y + u * s + v * c], 1)


def mirror(points: Points, x: float) -> np.ndarray:
    """The same on the other side of a vertical line, in reversed order."""
    p = np.asarray(points, np.float64)[::-1].copy()
    p[:, 0] = 2 * x - p[:, 0]
    return p


def resample(line: np.ndarray, count: int) -> np.ndarray:
    """`count` points (count, 2) at equal distances along a line."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, line[:, i]) for i in (0, 1)], 1)


def wobble(line: np.ndarray, rng: np.random.Generator, size: float, length: float) -> np.ndarray:
    """A line as a hand draws it: off by about `size` pixels, in waves of about `length` pixels."""
    line = resample(line, max(4, int(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() / 3)))
    knots = max(2, int(3 * len(line) / length) + 2)
    at = np.linspace(0, len(line) - 1, knots)
    off = rng.normal(0, size, (knots, 2))
    return line + np.stack([np.interp(np.arange(len(line)), at, off[:, i]) for i in (0, 1)], 1)


def noise(height: int, width: int, grain: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (height, width) of deviation 1, in lumps of about `grain` pixels."""
    small = rng.normal(0, 1, (int(height / grain) + 3, int(width / grain) + 3)).astype(np.float32)
    image = Image.fromarray(small).resize((width, height), Image.BICUBIC)
    values = np.asarray(image)
    return (values - values.mean()) / (values.std() + 1e-9)


class Canvas:
    """A transparent picture of width x height pixels, to be drawn on in those pixels."""

    def __init__(self, width: int, height: int, colour: str | None = None) -> None:
        self.width, self.height = width, height
        size = (width * SCALE, height * SCALE)
        self.image = Image.new("RGBA", size, (0, 0, 0, 0) if colour is None else colour)

    def mask(self, *outlines: Points, soft: float = 0.0) -> Image.Image:
        """What lies inside any of the outlines; `soft` blurs its edge by so many pixels."""
        image = Image.new("L", self.image.size, 0)
        draw = ImageDraw.Draw(image)
        for outline in outlines:
            draw.polygon([tuple(p) for p in self._large(outline)], fill=255)
        return blurred(image, soft * SCALE) if soft else image

    def paint(
        self,
        mask: Image.Image,
        colour: Colour,
        *,
        inside: Image.Image | None = None,
        opacity: float = 1.0,
    ) -> None:
        """Lay a colour on through a mask, and where there is another mask only inside it."""
        box = mask.getbbox()
        if box is None:
            return
        part = mask.crop(box)
        if inside is not None:
            part = ImageChops.multiply(part, inside.crop(box))
        if opacity < 1:
            part = part.point(lambda value: round(value * opacity))
        size = part.size
        if isinstance(colour, str):
            layer = Image.new("RGBA", size, colour)
        else:
            layer = Image.fromarray(self._texture(colour, box)).convert("RGBA")
        layer.putalpha(part)
        self.image.alpha_composite(layer, box[:2])

    def fill(
        self,
        outline: Points,
        colour: Colour,
        *,
        soft: float = 0.0,
        inside: Image.Image | None = None,
        opacity: float = 1.0,
    ) -> None:
        """Fill an outline."""
        self.paint(self.mask(outline, soft=soft), colour, inside=inside, opacity=opacity)

    def line(
        self,
        line: Points,
        colour: Colour,
        width: float,
        *,
        taper: float = 0.0,
        inside: Image.Image | None = None,
        opacity: float = 1.0,
        soft: float = 0.0,
    ) -> None:
        """A round-ended line; taper 1 lets it come from nothing and go to nothing."""
        image = Image.new("L", self.image.size, 0)
        draw = ImageDraw.Draw(image)
        stroke(draw, self._large(line), width * SCALE, taper)
        if soft:
            image = blurred(image, soft * SCALE)
        self.paint(image, colour, inside=inside, opacity=opacity)

    def lines(self, lines: Sequence[Points], colour: Colour, width: float, **options) -> None:
        """Many lines at once."""
        taper = options.pop("taper", 0.0)
        image = Image.new("L", self.image.size, 0)
        draw = ImageDraw.Draw(image)
        for one in lines:
            stroke(draw, self._large(one), width * SCALE, taper)
        self.paint(image, colour, **options)

    def silhouette(self, grow: float = 0.0, soft: float = 0.0) -> Image.Image:
        """Everything drawn so far as a mask, grown by some pixels."""
        mask = self.image.getchannel("A")
        if grow:
            mask = mask.filter(ImageFilter.GaussianBlur(grow * SCALE)).point(
                lambda value: min(255, value * 6)
            )
        return mask.filter(ImageFilter.GaussianBlur(soft * SCALE)) if soft else mask

    def under(self, mask: Image.Image, colour: str, opacity: float = 1.0) -> None:
        """Lay a colour behind everything drawn so far."""
        layer = Image.new("RGBA", self.image.size, colour)
        layer.putalpha(mask.point(lambda value: round(value * opacity)))
        layer.alpha_composite(self.image)
        self.image = layer

    def finished(self) -> Image.Image:
        """The picture at its own size, RGBA; colours are averaged by their alpha."""
        large = np.asarray(self.image, np.float32)
        alpha = large[..., 3:] / 255
        layers = np.concatenate([large[..., :3] * alpha, alpha], -1)
        shape = (self.height, SCALE, self.width, SCALE, 4)
        small = layers.reshape(shape).mean((1, 3))
        colours = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
        both = np.concatenate([colours, 255 * small[..., 3:]], -1)
        return Image.fromarray(np.round(both).clip(0, 255).astype(np.uint8))

    def _large(self, points: Points) -> np.ndarray:
        return (np.asarray(points, np.float64) + 0.5) * SCALE - 0.5

    def _texture(self, colour: Colour, box: tuple[int, int, int, int]) -> np.ndarray:
        left, top, right, bottom = box
        if isinstance(colour, np.ndarray):
            return colour[top:bottom, left:right].astype(np.uint8)
        share = np.linspace(0, 1, bottom - top)[:, None, None]
        column = (1 - share) * rgb(colour[0]) + share * rgb(colour[1])
        return np.broadcast_to(column, (bottom - top, right - left, 3)).round().astype(np.uint8)


def blurred(mask: Image.Image, radius: float) -> Image.Image:
    """A mask blurred, which costs no more than what is in it."""
    box = mask.getbbox()
    if box is None:
        return mask
    reach = int(3 * radius) + 2
    box = (
        max(0, box[0] - reach),
        max(0, box[1] - reach),
        min(mask.width, box[2] + reach),
        min(mask.height, box[3] + reach),
    )
    soft = Image.new("L", mask.size, 0)
    soft.paste(mask.crop(box).filter(ImageFilter.GaussianBlur(radius)), box[:2])
    return soft


def stroke(draw: ImageDraw.ImageDraw, line: np.ndarray, width: float, taper: float) -> None:
    """One line of discs and trapezes in a mask, in the mask's pixels."""
    length = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    line = resample(line, max(3, min(400, int(length / max(1.5, width / 4)) + 2)))
    share = np.linspace(0, np.pi, len(line))
    radius = 0.5 * width * ((1 - taper) + taper * np.sin(share) ** 0.7)
    direction = np.gradient(line, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True) + 1e-9
    normal = direction[:, ::-1] * (-1, 1)
    left, right = line + normal * radius[:, None], line - normal * radius[:, None]
    for i in range(len(line) - 1):
        quad = [tuple(p) for p in (left[i], left[i + 1], right[i + 1], right[i])]
        draw.polygon(quad, fill=255)
    if width >= 3:
        for (x, y), r in zip(line, radius, strict=True):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)


def eye_points(x: float, y: float, rx: float, ry: float, tilt: float = 0.0) -> np.ndarray:
    """The six points of an eye from the left corner over the upper lid; tilt lifts the right."""
    across = np.array([-1, -0.45, 0.45, 1, 0.45, -0.45])
    down = np.array([0, -0.89, -0.89, 0, 0.89, 0.89])
    return np.stack([x + rx * across, y + ry * down - tilt * across], 1)


def brow_points(line: Points) -> np.ndarray:
    """Five points along a brow."""
    return resample(curve(line), 5)


def nose_points(x: float, top: float, tip: float, base: float, width: float) -> np.ndarray:
    """Four points down the bridge, five along the base."""
    bridge = [(x, y) for y in np.linspace(top, tip, 4)]
    foot = [(x + width * t, base - 0.35 * (base - tip) * t * t) for t in (-1, -0.5, 0, 0.5, 1)]
    return np.array(bridge + foot)


def mouth_points(
    x: float,
    y: float,
    width: float,
    up: float,
    down: float,
    *,
    smile: float = 0.0,
    upper_lip: float = 6.0,
    lower_lip: float = 8.0,
) -> np.ndarray:
    """Twenty points of an open mouth: outer lips, then inner.

    x and y are its centre, `width` half of its width; the inner lips part by `up` above y and
    `down` below; `smile` lifts the corners.
    """

    def middle(t: np.ndarray) -> np.ndarray:
        return y - smile * t * t

    def upper(t: np.ndarray) -> np.ndarray:
        return middle(t) - up * (1 - np.abs(t) ** 2.6)

    def lower(t: np.ndarray) -> np.ndarray:
        return middle(t) + down * (1 - np.abs(t) ** 2.2)

    inner = np.array([-1, -0.52, 0, 0.52, 1])
    outer = np.array([-1, -0.68, -0.3, 0, 0.3, 0.68, 1])
    bow = np.array([0, 0.85, 1.1, 0.85, 1.1, 0.85, 0])
    round_lip = np.array([0, 0.75, 1, 1.05, 1, 0.75, 0])
    points = [*zip(x + width * outer, upper(outer) - upper_lip * bow, strict=True)]
    low = [*zip(x + width * outer, lower(outer) + lower_lip * round_lip, strict=True)]
    points += low[-2:0:-1]
    narrow = width - 0.35 * (upper_lip + lower_lip)
    points += [*zip(x + narrow * inner, upper(inner), strict=True)]
    points += [*zip(x + narrow * inner, lower(inner), strict=True)][-2:0:-1]
    return np.array(points, np.float64)


def closed_mouth(face: np.ndarray, meet: float = 0.4, chin: float = 0.25) -> np.ndarray:
    """The face (68, 2) with its mouth closed.

    The inner lips meet at `meet` of the way from upper to lower, outer lips keep their thickness,
    and the chin comes up by a share of what the lower lip does.
    """
    closed = np.array(face, np.float64)
    rise = 0.0
    for upper, lower, outer_upper, outer_lower in (
        (61, 67, (49, 50), (59, 58)),
        (62, 66, (51,), (57,)),
        (63, 65, (53, 52), (55, 56)),
    ):
        line = (1 - meet) * face[upper] + meet * face[lower]
        for point, followers in ((upper, outer_upper), (lower, outer_lower)):
            move = line - face[point]
            closed[point] += move
            shares = (0.55, 1.0) if len(followers) == 2 else (1.0,)
            for follower, share in zip(followers, shares, strict=True):
                closed[follower] += share * move
            rise = min(rise, move[1])
    for point, share in zip(
        range(4, 13), (0.1, 0.35, 0.65, 0.9, 1, 0.9, 0.65, 0.35, 0.1), strict=True
    ):
        closed[point, 1] += chin * rise * share
    return closed


def inner_mouth(face: np.ndarray, inset: float = 1.5) -> np.ndarray:
    """The outline of the opening: a smooth line inside the polygon of the inner lips.

    Nothing of the inside may reach over the straight edges of the mesh by which the mouth shuts,
    or teeth would be seen between closed lips; so corners are cut, and `inset` pixels left.
    """
    chains = [face[60:65], face[[64, 65, 66, 67, 60]]]
    for _ in range(3):
        for i, chain in enumerate(chains):
            quarter = 0.75 * chain[:-1] + 0.25 * chain[1:]
            rest = 0.25 * chain[:-1] + 0.75 * chain[1:]
            cut = np.stack([quarter, rest], 1).reshape(-1, 2)
            chains[i] = np.concatenate([chain[:1], cut[1:-1], chain[-1:]])
    outline = np.concatenate([chains[0], chains[1][1:-1]])
    middle = 0.5 * (outline.min(0) + outline.max(0))
    half = 0.5 * np.ptp(outline, axis=0)
    return middle + (outline - middle) * (1 - inset / half)


def outer_mouth(face: np.ndarray) -> np.ndarray:
    """The outline of the lips, through the points."""
    return np.concatenate(
        [curve(face[48:55]), curve(np.concatenate([face[54:60], face[48:49]]))[1:-1]]
    )


def symmetric_face(
    middle: float,
    side: list[tuple[float, float]],
    brow: np.ndarray,
    nose: np.ndarray,
    right_eye: np.ndarray,
    left_eye: np.ndarray,
    mouth: np.ndarray,
) -> np.ndarray:
    """The 68 points (68, 2) of a face with an axis at x = ``middle``, in pixels.

    Args:
        middle: x of the axis.
        side: the jaw from the ear on the left of the picture to the chin.
        brow: (5, 2) on the left; the other is its mirror image.
        nose, right_eye, left_eye, mouth: as the functions above make them.
    """
    jaw = resample(np.concatenate([curve(side)[:-1], curve(mirror(side, middle))]), 17)
    return np.concatenate([jaw, brow, mirror(brow, middle), nose, right_eye, left_eye, mouth])
