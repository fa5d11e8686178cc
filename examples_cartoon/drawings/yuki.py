"""Yuki: manga."""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from examples_cartoon.drawings.pencils import (
    SCALE,
    Canvas,
    brow_points,
    curve,
    ellipse,
    eye_points,
    inner_mouth,
    mirror,
    mouth_points,
    nose_points,
    symmetric_face,
)

SIZE = (640, 680)
INNER_LIP = True
LINE = "#2b1b3d"
SKIN, SHADE = "#ffe6d8", "#f5b9ac"
HAIR, HAIR_SHADE, HAIR_LIGHT = "#3fb8c4", "#23818f", "#a5ecec"
NAVY, RED, RED_SHADE = "#33407f", "#ee4266", "#b92750"


def landmarks() -> np.ndarray:
    """(68, 2) pixels."""
    side = [(184, 318), (188, 370), (206, 424), (256, 474), (320, 508)]
    return symmetric_face(
        320,
        side,
        brow_points([(212, 272), (244, 255), (282, 264)]),
        nose_points(320, 326, 398, 410, 13),
        eye_points(247, 346, 36, 38),
        eye_points(393, 346, 36, 38),
        mouth_points(320, 446, 33, 8, 30, smile=6, upper_lip=4, lower_lip=5),
    )


def tone(canvas: Canvas, gap: float, radius: float) -> Image.Image:
    """A screentone: dots in rows at 45 degrees, as a mask."""
    image = Image.new("L", canvas.image.size, 0)
    draw = ImageDraw.Draw(image)
    r = radius * SCALE
    for row, y in enumerate(np.arange(0, canvas.height, gap)):
        for x in np.arange((row % 2) * gap, canvas.width, 2 * gap):
            a, b = x * SCALE, y * SCALE
            draw.ellipse((a - r, b - r, a + r, b + r), fill=255)
    return image


def draw_eye(c: Canvas, points: np.ndarray, out: int) -> None:
    """One large eye; `out` is the side of its outer corner, -1 or 1."""
    x, y = points.mean(0)
    white = curve(points, True)
    c.fill(white, "#ffffff")
    eye = c.mask(white)
    c.fill(
        np.concatenate([curve(points[:4]) - (0, 6), (curve(points[:4]) + (0, 11))[::-1]]),
        "#d5cfe6",
        inside=eye,
    )
    iris = ellipse(x - 1 * out, y + 2, 24, 33)
    ring = c.mask(iris)
    ring = ImageChops.multiply(ring, eye)
    c.paint(ring, ("#4a1d6b", "#e0559a"))
    c.fill(ellipse(x - out, y + 14, 18, 17), "#ff9cc4", soft=3, inside=ring, opacity=0.85)
    c.fill(ellipse(x - out, y + 1, 11, 17), "#33104d", inside=ring)
    c.line(np.concatenate([iris, iris[:1]]), "#33104d", 3.4, inside=eye)
    for k in range(-2, 3):
        c.line(
            [(x - out + 6 * k, y + 17 + abs(k)), (x - out + 9 * k, y + 27 - 1.5 * abs(k))],
            "#ffd3e6",
            2,
            inside=ring,
            taper=0.8,
        )
    c.fill(ellipse(x - 9, y - 14, 9.5, 11), "#ffffff", inside=eye)
    c.fill(ellipse(x + 10, y + 15, 5, 5.5), "#ffffff", inside=eye)
    c.fill(ellipse(x + 11, y - 4, 2.4, 2.4), "#ffffff", inside=eye)
    lid = curve(points[:4])
    c.line(lid, LINE, 9, taper=0.45)
    corner = points[0] if out < 0 else points[3]
    for dx, dy, w in ((15, -10, 6), (12, -1, 5), (5, -21, 5)):
        start = corner + (-out * 3, -4 if dy > -20 else -17)
        c.line(
            curve([start, start + (out * 0.6 * dx, 0.4 * dy), start + (out * dx, dy)]),
            LINE,
            w,
            taper=0.7,
        )
    low = np.concatenate([points[3:6], points[:1]])
    c.line(curve(low)[10:-10], LINE, 2.6, taper=0.9)
    c.line(lid[8:-8] - (0, 11), "#b0606f", 2.2, taper=0.9)


def draw(face: np.ndarray) -> Canvas:
    c = Canvas(*SIZE)
    dots = tone(c, 4.5, 1.5)
    # Hair behind.
    back = curve(
        [
            (320, 96),
            (450, 130),
            (512, 230),
            (522, 340),
            (538, 440),
            (520, 540),
            (560, 590),
            (486, 582),
        ]
        + [
            (440, 600),
            (420, 540),
            (220, 540),
            (200, 600),
            (154, 582),
            (80, 590),
            (120, 540),
            (102, 440),
        ]
        + [(118, 340), (128, 230), (190, 130)],
        True,
    )
    behind = c.mask(back)
    c.paint(behind, HAIR_SHADE)
    locks = []
    for x0, x1 in ((128, 112), (150, 140), (176, 168), (464, 474), (492, 502), (512, 530)):
        locks.append(curve([(x0, 400), (x1 - 6, 480), (x1 + 8, 560)]))
    c.paint(
        dots,
        "#145763",
        inside=ImageChops.multiply(
            behind, c.mask([(90, 420), (550, 420), (560, 620), (80, 620)], soft=20)
        ),
        opacity=0.8,
    )
    c.lines(locks, LINE, 2.6, taper=0.9, inside=behind)
    c.line(np.concatenate([back, back[:1]]), LINE, 4)
    # Body: a sailor's collar.
    neck = np.array([(286, 470), (354, 470), (360, 560), (320, 590), (280, 560)])
    blouse = curve(
        [(320, 552), (400, 566), (490, 592), (528, 650), (536, 740), (104, 740), (112, 650)]
        + [(150, 592), (240, 566)],
        True,
    )
    body = c.mask(blouse)
    c.paint(body, "#fbfaff")
    c.fill([(400, 560), (560, 600), (560, 740), (430, 740), (450, 640)], "#cfcbe6", inside=body)
    c.paint(
        dots,
        "#a9a3cf",
        inside=ImageChops.multiply(
            body, c.mask([(400, 566), (560, 600), (560, 740), (430, 740), (450, 640)])
        ),
    )
    c.line(np.concatenate([blouse, blouse[:1]]), LINE, 4)
    c.fill(neck, SKIN)
    c.fill([(284, 480), (358, 480), (360, 536), (322, 528), (284, 512)], SHADE, inside=c.mask(neck))
    c.line([(286, 500), (281, 560)], LINE, 3.4)
    c.line([(354, 500), (359, 560)], LINE, 3.4)
    collar = np.array([(262, 548), (160, 586), (176, 668), (262, 640), (320, 690), (304, 610)])
    for side in (0, 1):
        shape = mirror(collar, 320) if side else collar
        c.fill(shape, "#2a3468" if side else NAVY)
        c.line(np.concatenate([shape, shape[:1]]), LINE, 3.6)
        trim = np.array([(176, 596), (188, 654), (262, 628), (310, 668)])
        c.line(mirror(trim, 320) if side else trim, "#ffffff", 4)
    c.fill([(290, 570), (350, 570), (320, 626)], SKIN)
    c.line([(280, 558), (304, 612), (320, 636), (336, 612), (360, 558)], LINE, 3.2)
    # Bow.
    for side in (0, 1):
        tail = curve([(318, 636), (296, 660), (276, 700), (300, 690), (316, 704), (322, 660)], True)
        wing = curve([(322, 632), (286, 604), (248, 606), (246, 640), (256, 664), (292, 654)], True)
        for shape in (tail, wing):
            shape = mirror(shape, 320) if side else shape
            c.fill(shape, RED)
            within = c.mask(shape)
            c.fill(shape + ((-8, 12) if side else (10, 12)), RED_SHADE, inside=within, opacity=0.9)
            c.line(np.concatenate([shape, shape[:1]]), LINE, 3.4)
        crease = curve([(306, 630), (284, 626), (268, 618)])
        c.line(mirror(crease, 320) if side else crease, LINE, 2.6, taper=0.9)
    knot = curve([(306, 616), (334, 616), (338, 634), (332, 652), (308, 652), (302, 634)], True)
    c.fill(knot, "#ff6685")
    c.line(np.concatenate([knot, knot[:1]]), LINE, 3.4)
    # Ears and face.
    for side in (0, 1):
        ear = curve([(188, 336), (168, 326), (160, 350), (172, 384), (194, 388)])
        ear = mirror(ear, 320) if side else ear
        c.fill(ear, SKIN)
        c.line(ear, LINE, 3.4)
        fold = curve([(180, 346), (170, 352), (178, 370)])
        c.line(mirror(fold, 320) if side else fold, "#b0606f", 2.2, taper=0.8)
    jaw = curve(face[:17])
    head = np.concatenate(
        [jaw, curve([tuple(face[16]), (452, 220), (320, 150), (188, 220), tuple(face[0])])[1:-1]]
    )
    inside = c.mask(head)
    c.paint(inside, SKIN)
    c.fill(
        curve([(180, 250), (320, 300), (460, 250), (460, 200), (180, 200)], True) + (0, 18),
        SHADE,
        inside=inside,
        soft=1,
    )
    c.fill(
        curve([(462, 300), (446, 400), (400, 462), (338, 506), (420, 500), (480, 420)], True),
        SHADE,
        inside=inside,
    )
    c.line(jaw, LINE, 4, taper=0.25)
    for x in (222, 418):
        c.fill(ellipse(x, 408, 29, 14), "#ff8f9c", soft=7, inside=inside, opacity=0.75)
        for k in (-1, 0, 1):
            c.line([(x + 10 * k - 3, 414), (x + 10 * k + 4, 401)], "#e8586f", 2.4, taper=0.7)
    # Nose, mouth.
    c.line(curve([(316, 398), (322, 407), (316, 410)]), LINE, 2.8, taper=0.8)
    c.fill(ellipse(327, 400, 4, 7), "#ffffff", opacity=0.7)
    opening = inner_mouth(face)
    hole = c.mask(opening)
    c.paint(hole, "#8f1f3f")
    c.fill(ellipse(320, 476, 23, 17), "#ff7f93", inside=hole)
    c.line([(320, 463), (320, 476)], "#d9506e", 2.2, taper=0.6, inside=hole)
    top = curve(face[60:65])
    c.fill(np.concatenate([top - (0, 8), (top + (0, 7))[::-1]]), "#ffffff", inside=hole)
    c.fill([(336, 440), (346, 440), (340, 453)], "#ffffff", inside=hole)
    c.line(top, LINE, 4, taper=0.3)
    c.line(curve(face[[64, 65, 66, 67, 60]]), LINE, 3.2, taper=0.5)
    c.line(curve([(308, 490), (320, 493), (332, 490)]), "#d98a86", 2.4, taper=0.9)
    draw_eye(c, face[36:42], -1)
    draw_eye(c, face[42:48], 1)
    # Fringe: spikes that overlap, then light on them.
    spikes = [
        [(150, 190), (138, 300), (160, 410), (150, 470), (196, 400), (206, 320), (222, 240)],
        [(204, 170), (196, 250), (216, 316), (244, 262), (262, 200)],
        [(250, 160), (246, 240), (272, 318), (300, 258), (312, 190)],
        [(300, 160), (306, 240), (334, 304), (352, 252), (362, 180)],
        [(350, 160), (366, 240), (386, 308), (406, 250), (404, 180)],
        [(396, 170), (420, 240), (436, 314), (448, 250), (440, 180)],
        [(490, 190), (502, 300), (480, 410), (490, 470), (444, 400), (434, 320), (418, 240)],
    ]
    crown = curve(
        [(136, 300), (132, 220), (180, 136), (320, 92), (460, 136), (508, 220), (504, 300)]
    )
    cap = np.concatenate(
        [crown, curve([(504, 300), (450, 236), (320, 214), (190, 236), (136, 300)])[1:-1]]
    )
    union = c.mask(cap)
    shapes = []
    for spike in spikes:
        points = np.array(spike, float)
        tip = max(range(len(points)), key=lambda i, p=points: p[i, 1])
        shape = np.concatenate([curve(points[: tip + 1]), curve(points[tip:])[1:]])
        shapes.append(shape)
        union = ImageChops.lighter(union, c.mask(shape))
    c.paint(
        ImageChops.multiply(ImageChops.offset(union, 3, 9 * SCALE), inside), "#d98f94", opacity=0.65
    )
    c.paint(union, HAIR)
    for shape in shapes:
        on = c.mask(shape)
        c.paint(ImageChops.subtract(on, c.mask(shape + (-9, -4))), HAIR_SHADE)
        c.line(shape, LINE, 3.4, taper=0.3)
    c.paint(union, HAIR, inside=c.mask([(100, 60), (540, 60), (540, 196), (100, 196)], soft=9))
    shine = np.concatenate(
        [curve([(164, 232), (230, 196), (320, 184), (410, 196), (476, 232)])]
        + [
            np.array(
                [(476 - 13 * i, 240 - 44 * np.sin(np.pi * i / 24) + 9 * (i % 2)) for i in range(25)]
            )
        ]
    )
    c.fill(shine, HAIR_LIGHT, inside=union, opacity=0.95)
    c.line(crown, LINE, 4, taper=0.1)
    wisps = (
        [(300, 120), (280, 150), (270, 190)],
        [(350, 118), (372, 148), (384, 186)],
        [(232, 150), (212, 184), (206, 214)],
    )
    c.lines([curve(w) for w in wisps], HAIR_SHADE, 3, taper=0.9)
    # Brows show through the fringe, as they do in manga.
    for first in (17, 22):
        c.line(curve(face[first : first + 5]), LINE, 5.5, taper=0.7)
    # Beret.
    beret = curve(
        [(150, 158), (138, 104), (196, 44), (320, 22), (430, 30), (506, 78), (498, 134), (452, 166)]
        + [(380, 140), (300, 132), (214, 146)],
        True,
    )
    on = c.mask(beret)
    c.paint(on, RED)
    c.paint(ImageChops.subtract(on, c.mask(beret + (-26, -20))), RED_SHADE)
    c.paint(
        dots, "#8e1a42", inside=ImageChops.subtract(on, c.mask(beret + (-44, -30))), opacity=0.9
    )
    c.fill(
        curve([(188, 92), (226, 58), (290, 44), (250, 66), (212, 96)], True), "#ff8ba2", inside=on
    )
    c.line(np.concatenate([beret, beret[:1]]), LINE, 4)
    c.line(curve([(158, 152), (220, 130), (310, 118), (390, 128), (456, 158)]), LINE, 3, taper=0.6)
    c.line([(322, 24), (328, 4)], LINE, 10)
    star = [
        (196 + r * np.sin(a), 124 - r * np.cos(a))
        for r, a in zip([22, 9] * 5, np.arange(10) * np.pi / 5, strict=True)
    ]
    c.fill(star, "#ffd84d")
    c.line([*star, star[0]], LINE, 3)
    return c


def background() -> Canvas:
    c = Canvas(*SIZE, "#ffe3ec")
    c.fill([(0, 0), (640, 0), (640, 680), (0, 680)], ("#bfe6ff", "#ffe9f1"))
    rng = np.random.default_rng(4)
    for i in range(64):
        a = 2 * np.pi * (i + rng.uniform(-0.3, 0.3)) / 64
        start, width = rng.uniform(300, 390), rng.uniform(0.006, 0.02)
        ray = [(320 + start * np.cos(a), 330 + start * np.sin(a))]
        ray += [
            (320 + 700 * np.cos(a + s * width), 330 + 700 * np.sin(a + s * width)) for s in (-1, 1)
        ]
        c.fill(ray, "#ffffff")
    c.paint(
        tone(c, 7, 2.1),
        "#f7a8c4",
        inside=c.mask([(-5, 470), (645, 380), (645, 690), (-5, 690)], soft=60),
    )
    for _ in range(46):
        x, y, s, turn = (
            rng.uniform(0, 640),
            rng.uniform(0, 680),
            rng.uniform(7, 15),
            rng.uniform(0, 360),
        )
        a = np.radians(turn)
        petal = np.array(
            [
                (0, -1.2),
                (0.75, -0.5),
                (0.6, 0.6),
                (0.14, 1),
                (0, 0.78),
                (-0.14, 1),
                (-0.6, 0.6),
                (-0.75, -0.5),
            ]
        )
        spun = petal @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        leaf = curve(s * spun + (x, y), True)
        c.fill(leaf, "#ff9dbd" if rng.random() < 0.6 else "#ffc4d6")
        c.line(
            [(x, y), (x + s * spun[0, 0] * 0.6, y + s * spun[0, 1] * 0.6)],
            "#f06f9b",
            1.4,
            taper=0.8,
        )
    return c
