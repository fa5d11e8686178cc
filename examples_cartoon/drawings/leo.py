"""Leo: cut out of coloured paper and glued in layers."""

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from examples_cartoon.drawings.pencils import (
    SCALE,
    Canvas,
    brow_points,
    curve,
    ellipse,
    eye_points,
    inner_mouth,
    mirror,
    mix,
    mouth_points,
    noise,
    nose_points,
    rgb,
    symmetric_face,
)

SIZE = (640, 680)
INNER_LIP = True
GOLD, CREAM, ORANGE, RUST = "#f4b541", "#ffe9bd", "#e8792b", "#b8481f"
BROWN, TEAL, PINK = "#5b3320", "#1f8a8c", "#ec6a5e"
LIGHT = (-0.6, -0.8)  # where the lamp stands


class Paper:
    """A canvas on which every shape is a sheet: grain, a cut edge, a shadow on what lies below."""

    def __init__(self, canvas: Canvas, seed: int) -> None:
        self.canvas = canvas
        self.rng = np.random.default_rng(seed)
        height, width = canvas.height * SCALE, canvas.width * SCALE
        fibre = 0.6 * noise(height, width, 3, self.rng) + 0.8 * noise(height, width, 11, self.rng)
        self.grain = (fibre + 1.2 * noise(height, width, 120, self.rng))[..., None]

    def sheet(self, outline, colour, *, lift=5.0, inside=None, grain=4.0) -> None:
        """Glue a sheet on; `lift` is how far it stands off, which makes its shadow.

        The shadow falls on paper only, never on the air round the puppet.
        """
        c = self.canvas
        cut = np.asarray(outline, float)
        cut = cut + self.rng.normal(0, 0.35, cut.shape)
        reach = 3 * lift + 4
        left, top = np.maximum(SCALE * (cut.min(0) - reach), 0).astype(int)
        right, bottom = np.minimum(SCALE * (cut.max(0) + reach), c.image.size).astype(int)
        box = (left, top, right, bottom)

        def local(points: np.ndarray) -> Image.Image:
            mask = Image.new("L", (right - left, bottom - top), 0)
            places = (points + 0.5) * SCALE - 0.5 - (left, top)
            ImageDraw.Draw(mask).polygon([tuple(p) for p in places], fill=255)
            return mask

        within = None if inside is None else inside.crop(box)
        shape = local(cut)
        if within is not None:
            shape = ImageChops.multiply(shape, within)
        part = c.image.crop(box)

        def lay(mask: Image.Image, ink: Image.Image, opacity: float = 1.0) -> None:
            mask = mask.point(lambda value: round(value * opacity))
            if within is not None:
                mask = ImageChops.multiply(mask, within)
            ink.putalpha(mask)
            part.alpha_composite(ink)

        def plain(colour: str) -> Image.Image:
            return Image.new("RGBA", part.size, colour)

        if lift:
            shadow = local(cut - np.array(LIGHT) * lift)
            shadow = shadow.filter(ImageFilter.GaussianBlur(0.55 * lift * SCALE))
            lay(ImageChops.multiply(shadow, part.getchannel("A")), plain("#2a1420"), 0.42)
        texture = np.clip(rgb(colour) + grain * self.grain[top:bottom, left:right], 0, 255)
        lay(shape, Image.fromarray(texture.astype(np.uint8)).convert("RGBA"))
        # The thickness of the paper catches light on one side and is dark on the other.
        inner = shape.filter(ImageFilter.GaussianBlur(0.8 * SCALE))
        x, y = (round(1.1 * SCALE * v) for v in LIGHT)
        for way, ink, opacity in ((-1, "#ffffff", 0.55), (1, "#2a1420", 0.25)):
            edge = ImageChops.subtract(shape, ImageChops.offset(inner, way * x, way * y))
            lay(ImageChops.multiply(edge, shape), plain(ink), opacity)
        c.image.paste(part, box[:2])


def landmarks() -> np.ndarray:
    """(68, 2) pixels."""
    side = [(186, 312), (190, 366), (208, 424), (254, 474), (320, 492)]
    return symmetric_face(
        320,
        side,
        brow_points([(220, 258), (250, 240), (284, 250)]),
        nose_points(320, 290, 352, 372, 34),
        eye_points(254, 302, 25, 27),
        eye_points(386, 302, 25, 27),
        mouth_points(320, 420, 52, 6, 34, smile=10, upper_lip=7, lower_lip=9),
    )


def petal(angle: float, inner: float, outer: float, width: float, y: float = 320) -> np.ndarray:
    """A strip of the mane."""
    a = np.radians(angle)
    along, across = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
    middle = np.array([320, y])
    steps = ((inner, -0.5), (0.6 * outer + 0.4 * inner, -0.62), (outer * 0.97, -0.2))
    left = [middle + r * along + width * s * across for r, s in steps]
    right = [middle + r * along - width * s * across for r, s in reversed(steps)]
    return curve([*left, middle + outer * along, *right], True)


def draw(face: np.ndarray) -> Canvas:
    c = Canvas(*SIZE)
    p = Paper(c, 5)
    rng = np.random.default_rng(8)
    # Jumper.
    body = curve(
        [(320, 500), (420, 520), (520, 566), (560, 640), (566, 740), (74, 740), (80, 640)]
        + [(120, 566), (220, 520)],
        True,
    )
    p.sheet(body, TEAL)
    knit = c.mask(body)
    for y in range(560, 700, 44):
        band = [(60, y), *[(60 + 26 * i, y + 9 * (i % 2)) for i in range(1, 20)], (580, y)]
        band += [
            (580, y + 18),
            *[(580 - 26 * i, y + 18 + 9 * (i % 2)) for i in range(1, 20)],
            (60, y + 18),
        ]
        p.sheet(band, "#f3e3c3" if (y // 44) % 2 else "#f4b541", inside=knit, lift=3)
    # Mane, three rings of strips.
    for ring, (outer, width, colour, count, turn) in enumerate(
        ((238, 84, RUST, 19, 0), (212, 76, ORANGE, 18, 9), (182, 66, "#f2963a", 17, 3))
    ):
        order = rng.permutation(count)
        for i in order:
            angle = turn + 360 * i / count - 90
            length = outer + rng.normal(0, 5)
            shade = mix(colour, "#5a1d10" if rng.random() < 0.5 else "#ffd27a", 0.16 * rng.random())
            p.sheet(petal(angle, 80, length, width), shade, lift=5 - ring)
    # Ears.
    for side in (0, 1):
        for radius, colour in ((42, GOLD), (25, PINK)):
            ear = ellipse(196, 190, radius, radius * 1.04)
            p.sheet(mirror(ear, 320) if side else ear, colour, lift=5)
    # Head.
    head = np.concatenate(
        [curve(face[:17]), curve([tuple(face[16]), (448, 240), (396, 188), (320, 176)])[1:]]
        + [curve([(320, 176), (244, 188), (192, 240), tuple(face[0])])[1:-1]]
    )
    p.sheet(head, GOLD, lift=9)
    on_head = c.mask(head)
    # A stripe down the nose.
    bridge = curve([(300, 268), (340, 268), (350, 330), (352, 372), (288, 372), (290, 330)], True)
    p.sheet(bridge, "#f8c661", lift=3, inside=on_head)
    for x in (222, 418):
        p.sheet(ellipse(x, 386, 24, 22), "#f08a4c", lift=2, inside=on_head)
    # Chin, then the muzzle, with the opening between.
    chin = curve(
        [(262, 424), (378, 424), (374, 462), (348, 487), (320, 491), (292, 487), (266, 462)], True
    )
    p.sheet(chin, CREAM, lift=4, inside=on_head)
    hole = inner_mouth(face)
    opening = c.mask(hole)
    rim = curve(
        np.concatenate(
            [
                face[60:61] + (-4, 0),
                face[61:64] + (0, -5),
                face[64:65] + (4, 0),
                face[65:68] + (0, 6),
            ]
        ),
        True,
    )
    p.sheet(rim, "#8f2b2b", lift=2)
    c.paint(opening, "#46141c")
    p.sheet(ellipse(320, 456, 34, 21), PINK, lift=4, inside=opening)
    c.line([(320, 440), (320, 462)], "#c9473f", 3, taper=0.6, inside=opening)
    for x in (293, 347):
        fang = np.array([(x - 9, 405), (x + 9, 405), (x + 1, 433)])
        p.sheet(fang, "#ffffff", lift=3, inside=opening)
    for side in (0, 1):
        puff = curve(
            [(320, 372), (320, 414), (296, 418), (262, 411), (238, 392), (246, 366)] + [(280, 354)],
            True,
        )
        puff = mirror(puff, 320) if side else puff
        p.sheet(puff, CREAM, lift=4)
        for x, y in ((262, 384), (280, 396), (286, 378)):
            dot = ellipse(x, y, 3.6, 3.6)
            c.fill(mirror(dot, 320) if side else dot, BROWN)
    nose = curve([(284, 350), (320, 344), (356, 350), (346, 368), (320, 382), (294, 368)], True)
    p.sheet(nose, BROWN, lift=4)
    c.fill(ellipse(306, 355, 9, 4, -8), "#9a6a4c")
    # Eyes and brows.
    for first, look in ((36, 3), (42, -3)):
        outline = curve(face[first : first + 6], True)
        x, y = face[first : first + 6].mean(0)
        p.sheet(outline, "#fffaf0", lift=3)
        eye = c.mask(outline)
        p.sheet(ellipse(x + look, y + 3, 16, 18), "#3c7a3f", lift=2, inside=eye)
        p.sheet(ellipse(x + look, y + 3, 9.5, 11), "#231512", lift=1, inside=eye, grain=2)
        c.fill(ellipse(x + look + 5, y - 5, 5, 5), "#ffffff")
        c.fill(ellipse(x + look - 5, y + 9, 2.5, 2.5), "#ffffff", opacity=0.8)
    for first in (17, 22):
        line = curve(face[first : first + 5])
        thick = 5 + 5 * np.sin(np.linspace(0.35, np.pi - 0.35, len(line)))[:, None]
        p.sheet(
            np.concatenate([line - (0, 1) * thick, (line + (0, 1) * thick)[::-1]]), RUST, lift=3
        )
    # Bow tie with dots.
    wing = curve([(322, 544), (282, 518), (224, 508), (214, 548), (222, 590), (282, 576)], True)
    for side in (0, 1):
        shape = mirror(wing, 320) if side else wing
        p.sheet(shape, "#d9364f", lift=6)
        tie = c.mask(shape)
        for x, y in ((238, 532), (262, 562), (272, 536), (232, 568), (296, 556)):
            dot = ellipse(x, y, 6, 6)
            p.sheet(mirror(dot, 320) if side else dot, "#fff1d6", lift=1, inside=tie)
    p.sheet(
        curve([(302, 526), (338, 526), (344, 547), (338, 568), (302, 568), (296, 547)], True),
        "#b8243f",
        lift=5,
    )
    # A party hat.
    cone = np.array([(268, 192), (320, 40), (372, 192)])
    cone = np.concatenate(
        [cone[:1], cone[1:2], cone[2:], curve([(372, 192), (320, 208), (268, 192)])[1:-1]]
    )
    cone = cone + (0, -8)
    p.sheet(cone, "#4b5fb0", lift=7)
    on_hat = c.mask(cone)
    for y in (84, 126, 168):
        stripe = [(250, y + 14), (390, y - 14), (390, y + 4), (250, y + 32)]
        p.sheet(stripe, "#f6d04d", lift=2, inside=on_hat)
    for i in range(14):
        a = i * 2 * np.pi / 14
        p.sheet(petal(np.degrees(a), 0, 25, 9, 38), "#ec6a5e" if i % 2 else "#ffd9cf", lift=2)
    return c


def background() -> Canvas:
    c = Canvas(*SIZE, "#a8dadc")
    p = Paper(c, 11)
    everywhere = [(-20, -20), (660, -20), (660, 700), (-20, 700)]
    p.sheet(everywhere, "#9fd8e4", lift=0, grain=3)
    for i in range(18):
        a, b = np.radians(20 * i), np.radians(20 * i + 10)
        ray = [
            (320, 330),
            (320 + 700 * np.cos(a), 330 + 700 * np.sin(a)),
            (320 + 700 * np.cos(b), 330 + 700 * np.sin(b)),
        ]
        p.sheet(ray, "#b9e5ec", lift=2, grain=3)
    for x, y, size in ((92, 120, 1.0), (548, 168, 1.15), (520, 46, 0.7)):
        puffs = [(-46, 8, 30), (-14, -10, 38), (26, -4, 34), (54, 12, 24)]
        for dx, dy, r in puffs:
            p.sheet(
                ellipse(x + dx * size, y + dy * size, r * size, r * size * 0.86),
                "#ffffff",
                lift=4,
                grain=3,
            )
    for level, colour, seed in ((520, "#8fbf5f", 0), (574, "#6da34d", 2), (628, "#4f8a45", 4)):
        hill = [(x, level + 22 * np.sin(x / 95 + seed)) for x in range(-40, 700, 20)]
        p.sheet([*hill, (700, 720), (-40, 720)], colour, lift=6, grain=3)
    for x, y, colour in (
        (46, 596, "#ec6a5e"),
        (590, 610, "#f4b541"),
        (112, 652, "#ffffff"),
        (546, 662, "#ec6a5e"),
    ):
        for i in range(6):
            a = np.radians(60 * i)
            p.sheet(ellipse(x + 13 * np.cos(a), y + 13 * np.sin(a), 9, 9), colour, lift=2, grain=3)
        p.sheet(ellipse(x, y, 8, 8), "#5b3320", lift=2)
    return c
