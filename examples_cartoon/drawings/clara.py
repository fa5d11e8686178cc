"""Clara: painted in oil, first in soft patches, then over them brush stroke by brush stroke."""

import cv2
import numpy as np
from PIL import Image

from examples_cartoon.drawings.pencils import (
    Canvas,
    brow_points,
    curve,
    ellipse,
    eye_points,
    inner_mouth,
    mirror,
    mix,
    mouth_points,
    nose_points,
    outer_mouth,
    resample,
    symmetric_face,
)

SIZE = (640, 680)
INNER_LIP = False
SKIN, LIGHT, SHADE, DEEP = "#e8ab86", "#f9d3b0", "#c9785f", "#8f4a48"
HAIR, HAIR_DARK, HAIR_LIGHT = "#9a4a22", "#5a2620", "#e08a3c"
STRAW, STRAW_DARK, STRAW_LIGHT = "#e3bb62", "#a87a35", "#fbe5a0"
DRESS, DRESS_DARK, DRESS_LIGHT = "#2f6fa8", "#1d3f74", "#7fb9dc"


def landmarks() -> np.ndarray:
    """(68, 2) pixels."""
    side = [(208, 318), (210, 372), (226, 428), (266, 480), (320, 500)]
    return symmetric_face(
        320,
        side,
        brow_points([(228, 290), (256, 273), (294, 282)]),
        nose_points(320, 318, 372, 388, 22),
        eye_points(265, 326, 25, 17),
        eye_points(375, 326, 25, 17),
        mouth_points(320, 430, 42, 10, 25, smile=6, upper_lip=8, lower_lip=11),
    )


def paint_over(
    picture: np.ndarray,
    alpha: np.ndarray,
    fine: np.ndarray,
    seed: int,
    brushes: tuple[tuple[float, float], ...],
) -> np.ndarray:
    """A picture painted again in strokes along its forms.

    Args:
        picture: uint8 (H, W, 3).
        alpha: uint8 (H, W); strokes begin only where there is something.
        fine: (H, W) 0 to 1, where only small brushes may go.
        seed: of the hand.
        brushes: (width, strokes for each thousand pixels), the widest first.

    Returns:
        uint8 (H, W, 4).
    """
    rng = np.random.default_rng(seed)
    height, width = alpha.shape
    painted = picture.astype(np.float32)
    solid = (alpha > 128).astype(np.float32)
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 2)
    gx, gy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    # Strokes follow edges: the mean direction of least change round a place.
    jxx, jyy, jxy = (cv2.GaussianBlur(v, (0, 0), 7) for v in (gx * gx, gy * gy, gx * gy))
    swirl = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 40)
    angles = 0.5 * np.arctan2(2 * jxy, jxx - jyy) + np.pi / 2 + 0.6 * swirl / swirl.std() * 0.4
    cover = np.zeros((height, width), np.float32)
    for brush, density in brushes:
        count = int(height * width / 1000 * density)
        smooth = cv2.GaussianBlur(picture, (0, 0), max(0.6, brush / 5)).astype(np.float32)
        for x, y in zip(rng.uniform(0, width, count), rng.uniform(0, height, count), strict=True):
            column, row = int(x), int(y)
            if not solid[row, column] or fine[row, column] * brush > 4.5 + rng.uniform(0, 2):
                continue
            length = brush * rng.uniform(1.6, 3.6)
            colour = smooth[row, column] + rng.normal(0, 5.5) + rng.normal(0, 4, 3)
            at = np.array([x, y])
            line = [at]
            for way in (1, -1):
                place = at.copy()
                for _ in range(4):
                    r = min(max(int(place[1]), 0), height - 1)
                    c = min(max(int(place[0]), 0), width - 1)
                    a = angles[r, c]
                    place = place + way * length / 8 * np.array([np.cos(a), np.sin(a)])
                    r2 = min(max(int(place[1]), 0), height - 1)
                    c2 = min(max(int(place[0]), 0), width - 1)
                    if not solid[r2, c2] or np.abs(smooth[r2, c2] - smooth[row, column]).max() > 46:
                        break
                    line.append(place) if way > 0 else line.insert(0, place)
            lay_stroke(painted, cover, np.array(line), brush, colour, rng)
    light = cv2.GaussianBlur(cover, (0, 0), 0.7)
    ridge = cv2.Sobel(light, cv2.CV_32F, 1, 0) + cv2.Sobel(light, cv2.CV_32F, 0, 1)
    painted += np.clip(9 * ridge, -12, 12)[..., None]
    weave = np.sin(np.arange(width) * 2.1)[None] * np.sin(np.arange(height) * 2.1)[:, None]
    painted += 2.5 * weave[..., None]
    return np.dstack([np.clip(painted, 0, 255).round().astype(np.uint8), alpha])


def lay_stroke(painted, cover, line, brush, colour, rng) -> None:
    """One stroke with the marks of its bristles, in place."""
    pad = int(brush) + 2
    left, top = np.maximum(np.floor(line.min(0)).astype(int) - pad, 0)
    right, bottom = np.ceil(line.max(0)).astype(int) + pad
    part, thick = painted[top:bottom, left:right], cover[top:bottom, left:right]
    if part.size == 0:
        return
    mask = np.zeros(part.shape[:2], np.uint8)
    places = np.round((line - (left, top)) * 16).astype(np.int32)
    cv2.polylines(mask, [places], False, 255, max(1, round(brush)), cv2.LINE_AA, 4)
    share = mask.astype(np.float32) / 255
    ends = line[-1] - line[0]
    across = np.array([-ends[1], ends[0]]) / (np.hypot(*ends) + 1e-6)
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    side = (columns + left) * across[0] + (rows + top) * across[1]
    bristles = np.sin(side * rng.uniform(1.4, 2.4) + rng.uniform(0, 6))
    share = share * (0.9 + 0.1 * bristles)
    part += share[..., None] * (colour + 5 * bristles[..., None] - part)
    thick += share * (0.6 + 0.5 * bristles - thick)


def flower(c: Canvas, x: float, y: float, size: float, colour: str, heart: str) -> None:
    for ring, lighter in ((1.0, 0.0), (0.72, 0.28), (0.45, 0.5)):
        for i in range(6):
            a = np.radians(60 * i + 40 * ring)
            petal = ellipse(
                x + 0.55 * ring * size * np.cos(a),
                y + 0.55 * ring * size * np.sin(a),
                0.52 * ring * size,
                0.4 * ring * size,
                np.degrees(a),
            )
            c.fill(
                petal,
                mix(colour, "#fff1e8" if i % 2 else colour, lighter + 0.12 * (i % 3)),
                soft=0.6,
            )
    c.fill(ellipse(x, y, 0.2 * size, 0.2 * size), heart, soft=0.8)


def patches(face: np.ndarray) -> Canvas:
    """The portrait in soft patches of colour."""
    c = Canvas(*SIZE)
    # Far side of the hat, then hair behind.
    brim = ellipse(320, 216, 268, 92, -3)
    c.fill(brim, STRAW_DARK)
    on_brim = c.mask(brim)
    c.fill(ellipse(320, 226, 240, 70, -3), mix(STRAW_DARK, HAIR_DARK, 0.5), soft=10, inside=on_brim)
    back = curve(
        [(320, 180), (420, 210), (466, 300), (474, 400), (500, 500), (470, 580), (400, 600)]
        + [(240, 600), (170, 580), (140, 500), (166, 400), (174, 300), (220, 210)],
        True,
    )
    c.fill(back, HAIR_DARK)
    hair = c.mask(back)
    for i, x in enumerate(np.linspace(152, 488, 22)):
        tone = (HAIR, HAIR_LIGHT, HAIR_DARK, HAIR)[i % 4]
        out = 0.16 * (x - 320)
        c.line(
            curve(
                [
                    (320 + 0.8 * (x - 320), 260),
                    (x, 360),
                    (x + out, 450),
                    (x + out + 14 * np.sin(i), 590),
                ]
            ),
            tone,
            13,
            taper=0.7,
            inside=hair,
            opacity=0.75,
            soft=1.5,
        )
    # Dress and shoulders.
    skin = curve(
        [
            (320, 480),
            (368, 486),
            (376, 540),
            (450, 566),
            (520, 600),
            (560, 740),
            (80, 740),
            (120, 600),
        ]
        + [(190, 566), (264, 540), (272, 486)],
        True,
    )
    c.fill(skin, SKIN)
    on_skin = c.mask(skin)
    c.fill(
        [(270, 470), (374, 470), (380, 540), (330, 548), (290, 530)],
        DEEP,
        soft=9,
        inside=on_skin,
        opacity=0.75,
    )
    c.fill(
        [(390, 540), (560, 600), (560, 740), (420, 740)],
        SHADE,
        soft=22,
        inside=on_skin,
        opacity=0.8,
    )
    c.fill(ellipse(220, 592, 60, 22, -14), LIGHT, soft=14, inside=on_skin, opacity=0.8)
    dress = curve(
        [
            (104, 620),
            (190, 600),
            (250, 640),
            (320, 664),
            (390, 640),
            (450, 600),
            (536, 620),
            (580, 760),
        ]
        + [(60, 760)],
        True,
    )
    c.fill(dress, DRESS)
    on_dress = c.mask(dress)
    for x, tone in (
        (130, DRESS_LIGHT),
        (196, DRESS_DARK),
        (250, DRESS_LIGHT),
        (360, DRESS_DARK),
        (440, DRESS_DARK),
        (510, DRESS),
    ):
        c.line(
            curve([(x, 600), (x + 8, 650), (x - 8, 720)]),
            tone,
            30,
            soft=7,
            inside=on_dress,
            opacity=0.7,
            taper=0.4,
        )
    frill = [(104, 616), (190, 598), (250, 638), (320, 662), (390, 638), (450, 598), (536, 616)]
    for x, y in resample(curve(frill), 21):
        c.fill(ellipse(x, y, 14, 11), "#f6efe2" if x < 380 else "#c9c3d6", soft=0.8)
    # Head.
    head = np.concatenate(
        [
            curve(face[:17]),
            curve([tuple(face[16]), (434, 240), (320, 196), (206, 240), tuple(face[0])])[1:-1],
        ]
    )
    c.fill(head, SKIN)
    inside = c.mask(head)
    c.fill(
        curve(
            [(360, 200), (350, 330), (376, 400), (352, 460), (330, 510), (450, 500), (460, 220)],
            True,
        ),
        SHADE,
        soft=20,
        inside=inside,
        opacity=0.85,
    )
    c.fill(
        curve([(400, 230), (412, 400), (360, 500), (450, 500), (450, 230)], True),
        DEEP,
        soft=16,
        inside=inside,
        opacity=0.5,
    )
    c.fill(
        [(190, 190), (450, 190), (450, 282), (320, 262), (190, 278)],
        DEEP,
        soft=14,
        inside=inside,
        opacity=0.72,
    )
    c.fill(ellipse(252, 388, 38, 30), "#e8805f", soft=13, inside=inside, opacity=0.75)
    c.fill(ellipse(398, 388, 28, 28), "#b5504c", soft=12, inside=inside, opacity=0.7)
    c.fill(ellipse(244, 368, 24, 11, 24), LIGHT, soft=7, inside=inside, opacity=0.85)
    c.fill(ellipse(300, 482, 28, 12), LIGHT, soft=8, inside=inside, opacity=0.6)
    c.fill(ellipse(320, 470, 24, 5), SHADE, soft=5, inside=inside, opacity=0.7)
    # Nose.
    c.fill(
        curve([(326, 300), (340, 340), (346, 380), (330, 388), (328, 350)], True),
        SHADE,
        soft=5,
        inside=inside,
        opacity=0.9,
    )
    c.fill(
        curve([(314, 300), (323, 300), (325, 360), (316, 366), (310, 350)], True),
        LIGHT,
        soft=4,
        inside=inside,
    )
    c.fill(ellipse(318, 372, 9, 8), "#ffe6cc", soft=3)
    c.line(
        curve([(298, 382), (306, 390), (320, 391), (334, 390), (343, 381)]),
        DEEP,
        4.5,
        taper=0.7,
        soft=1,
    )
    for x in (308, 333):
        c.fill(ellipse(x, 388, 5, 2.8), "#6b2f33", soft=0.8)
    # Eyes.
    for first in (36, 42):
        points = face[first : first + 6]
        x, y = points.mean(0)
        c.fill(
            ellipse(x, y - 4, 36, 25),
            DEEP if first == 42 else SHADE,
            soft=8,
            inside=inside,
            opacity=0.6,
        )
        white = curve(points, True)
        c.fill(white, "#f7f1ea")
        eye = c.mask(white)
        c.fill(
            np.concatenate([curve(points[:4]) - (0, 5), (curve(points[:4]) + (0, 7))[::-1]]),
            "#9aa3bd",
            soft=2,
            inside=eye,
        )
        c.fill(ellipse(x + 1, y, 14, 15), "#2f7a52", inside=eye)
        c.fill(ellipse(x + 1, y + 6, 9, 6), "#8fce7a", soft=2, inside=eye)
        c.fill(ellipse(x + 1, y, 7, 7.5), "#161022", inside=eye)
        c.fill(ellipse(x - 4, y - 5, 4, 4.2), "#ffffff", soft=0.4)
        lid = curve(points[:4])
        c.line(lid, "#37181c", 6, taper=0.55)
        c.line(lid[6:-6] - (0, 9), DEEP, 3, taper=0.9, soft=0.8)
        c.line(curve(np.concatenate([points[3:6], points[:1]])), DEEP, 2.4, taper=0.8, soft=0.5)
        out = -1 if first == 36 else 1
        corner = points[0] if out < 0 else points[3]
        for dx, dy in ((9, -8), (12, -3), (4, -11)):
            start = corner + (-out * (4 if dy > -10 else 9), -2 if dy > -10 else -8)
            c.line([start, start + (out * dx, dy)], "#37181c", 3.2, taper=0.7)
    for first in (17, 22):
        c.line(curve(face[first : first + 5]), HAIR_DARK, 10, taper=0.75, soft=0.8)
    # Mouth.
    lips = outer_mouth(face)
    c.fill(lips, "#c73a45", soft=0.6)
    on_lips = c.mask(lips)
    c.fill(
        np.concatenate([curve(face[48:55]), curve(face[60:65])[::-1]]), "#a32a3c", inside=on_lips
    )
    opening = inner_mouth(face)
    c.fill(ellipse(310, 467, 17, 3.4), "#f59a94", soft=1.6, inside=on_lips)
    hole = c.mask(opening)
    c.paint(hole, "#4a1420")
    c.fill(ellipse(320, 456, 27, 14), "#d2585f", soft=1.5, inside=hole)
    c.fill(ellipse(312, 452, 12, 5), "#ee8f8c", soft=2, inside=hole)
    top = curve(face[60:65])
    c.fill(np.concatenate([top - (0, 12), (top + (0, 9))[::-1]]), "#fbf3e6", inside=hole)
    c.fill(np.concatenate([top - (0, 12), (top + (0, 3))[::-1]]), "#c9b6b0", soft=1, inside=hole)
    # Hair before the face.
    for side in (0, 1):
        sweep = curve(
            [(320, 214), (252, 232), (214, 290), (200, 372), (186, 452), (206, 520), (170, 560)]
            + [(148, 500), (164, 400), (168, 300), (204, 214), (300, 188)],
            True,
        )
        sweep = mirror(sweep, 320) if side else sweep
        c.fill(sweep, HAIR)
        on = c.mask(sweep)
        for i in range(12):
            x = 166 + 5.2 * i
            lock = curve(
                [
                    (318 - 9 * i, 204),
                    (x + 36 - 1.5 * i, 262),
                    (x + 6, 350),
                    (x - 8, 450),
                    (x + 8 * np.sin(2 * i), 560),
                ]
            )
            tone = (HAIR_LIGHT, HAIR, HAIR_DARK, mix(HAIR, HAIR_LIGHT, 0.5))[i % 4]
            if side:
                tone = mix(tone, HAIR_DARK, 0.35)
            c.line(
                mirror(lock, 320) if side else lock,
                tone,
                8,
                taper=0.75,
                inside=on,
                soft=1,
                opacity=0.9,
            )
    # Hat: crown, ribbon, near side of the brim.
    crown = curve(
        [
            (196, 206),
            (190, 130),
            (226, 62),
            (320, 40),
            (414, 62),
            (450, 130),
            (446, 206),
            (320, 226),
        ],
        True,
    )
    c.fill(crown, STRAW)
    on = c.mask(crown)
    c.fill(
        curve([(360, 40), (380, 120), (372, 230), (470, 220), (460, 60)], True),
        STRAW_DARK,
        soft=20,
        inside=on,
        opacity=0.85,
    )
    c.fill(ellipse(258, 100, 34, 44, 20), STRAW_LIGHT, soft=14, inside=on)
    for i in range(9):
        y = 62 + 19 * i
        c.line(
            curve([(180, y + 10), (320, y - 8), (460, y + 10)]),
            STRAW_DARK if i % 2 else STRAW_LIGHT,
            3,
            inside=on,
            opacity=0.6,
            soft=0.6,
        )
    ribbon = np.concatenate(
        [curve([(184, 164), (320, 186), (458, 164)]), curve([(452, 206), (320, 228), (190, 206)])]
    )
    c.fill(ribbon, "#b8324f", inside=on)
    c.fill(
        [(370, 150), (470, 150), (470, 240), (376, 240)], "#7a1d3c", soft=9, inside=c.mask(ribbon)
    )
    c.line(curve([(190, 176), (260, 188), (330, 190)]), "#e8718a", 5, soft=2, taper=0.8)
    near = np.concatenate(
        [curve([(54, 214), (110, 226), (196, 214), (320, 232), (446, 210), (530, 210), (586, 190)])]
        + [
            curve(
                [(590, 214), (520, 250), (420, 262), (320, 270), (210, 264), (110, 262), (50, 236)]
            )
        ]
    )
    c.fill(near, STRAW)
    rim = c.mask(near)
    c.fill(
        [(380, 200), (620, 160), (620, 290), (380, 290)],
        STRAW_DARK,
        soft=24,
        inside=rim,
        opacity=0.7,
    )
    c.line(
        curve([(70, 228), (160, 238), (320, 242)]), STRAW_LIGHT, 9, soft=4, inside=rim, taper=0.6
    )
    for i in range(46):
        x = 60 + 11.5 * i
        c.line(
            [(x, 205), (x + 0.12 * (x - 320), 275)],
            STRAW_DARK if i % 2 else STRAW_LIGHT,
            2.6,
            inside=rim,
            opacity=0.55,
            soft=0.5,
        )
    for x, y, s, tone in (
        (150, 236, 0, ""),
        (246, 178, 36, "#f2a7b8"),
        (200, 194, 27, "#fbf0dc"),
        (290, 196, 25, "#f6c453"),
    ):
        if s:
            for turn in (-30, 40, 160):
                a = np.radians(turn)
                c.fill(
                    ellipse(x + s * np.cos(a), y + s * np.sin(a), 0.6 * s, 0.22 * s, turn),
                    "#4f7d3c",
                    soft=0.6,
                )
            flower(c, x, y, s, tone, "#8f3a2a" if tone != "#f6c453" else "#6b4a1a")
    return c


def draw(face: np.ndarray) -> Image.Image:
    picture = np.asarray(patches(face).finished())
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    fine = np.zeros(rows.shape, np.float32)
    for points, reach in (
        (face[36:42], 34),
        (face[42:48], 34),
        (face[48:68], 52),
        (face[27:36], 30),
    ):
        x, y = points.mean(0)
        fine = np.maximum(fine, np.clip(2 - np.hypot((columns - x) / 1.25, rows - y) / reach, 0, 1))
    face_area = np.clip(2 - np.hypot((columns - 320) / 130, (rows - 380) / 140) * 1.4, 0, 1)
    fine = np.maximum(1.6 * fine, 0.62 * face_area)
    brushes = ((17, 2.4), (10, 7), (6, 14), (3.2, 26))
    painted = paint_over(np.ascontiguousarray(picture[..., :3]), picture[..., 3], fine, 6, brushes)
    # The finest things are set last, with the point of the brush.
    precise = np.clip(fine - 0.8, 0, 0.6)[..., None]
    painted[..., :3] = np.round(painted[..., :3] * (1 - precise) + picture[..., :3] * precise)
    return Image.fromarray(painted)


def background() -> Image.Image:
    c = Canvas(*SIZE, "#9cc7e6")
    c.fill([(-5, -5), (645, -5), (645, 400), (-5, 400)], ("#6fa9dc", "#e9f0e0"))
    rng = np.random.default_rng(9)
    for x, y, s in ((110, 90, 1.2), (520, 60, 1.0), (600, 170, 0.8), (30, 200, 0.7)):
        for _ in range(9):
            c.fill(
                ellipse(x + rng.normal(0, 36) * s, y + rng.normal(0, 11) * s, 34 * s, 19 * s),
                "#fdf6ea",
                soft=9,
                opacity=0.7,
            )
    for level, tone in ((330, "#8fb0c4"), (366, "#7fa070"), (410, "#5f8a48")):
        hill = [(x, level + 20 * np.sin(x / 120 + level)) for x in range(-20, 680, 20)]
        c.fill([*hill, (680, 700), (-20, 700)], tone, soft=2)
    for x in (40, 84, 560, 612):
        c.fill(ellipse(x, 372, 13, 62), "#2f5a3c", soft=2)
    for _ in range(520):
        y = 420 + 270 * rng.random() ** 0.8
        x, s = rng.uniform(-10, 650), (y - 380) / 40
        tone = rng.choice(
            ["#d94a3d", "#f2b632", "#f7ead0", "#a33a6a", "#6a9c4a", "#3f6f38", "#8fbf5a"]
        )
        c.fill(ellipse(x, y, 2.2 * s, 1.7 * s), tone, soft=0.6)
    picture = np.asarray(c.finished())
    fine = np.zeros(picture.shape[:2], np.float32)
    brushes = ((22, 2.2), (13, 5), (8, 7))
    painted = paint_over(np.ascontiguousarray(picture[..., :3]), picture[..., 3], fine, 2, brushes)
    return Image.fromarray(painted[..., :3])
