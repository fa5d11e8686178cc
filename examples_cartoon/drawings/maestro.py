"""Maestro: flat vector."""

import numpy as np
from PIL import ImageChops

from examples_cartoon.drawings.pencils import (
    Canvas,
    brow_points,
    curve,
    ellipse,
    eye_points,
    inner_mouth,
    mirror,
    mouth_points,
    nose_points,
    outer_mouth,
    symmetric_face,
)

SIZE = (640, 680)
INNER_LIP = False
SKIN, SHADE, DEEP = "#f4bd93", "#e5a077", "#cf8460"
NIGHT, NIGHT_SHADE, NIGHT_LIGHT = "#2b2f5b", "#20234a", "#3d4380"
RED, RED_SHADE = "#e4483f", "#bd342f"
CREAM, GOLD = "#fff4e0", "#f6b93b"
HAIR = "#5a3423"
BRIM = curve(
    [(150, 196), (188, 206), (320, 228), (452, 206), (490, 196), (500, 210), (462, 240)]
    + [(320, 262), (178, 240), (140, 210)],
    True,
)


def landmarks() -> np.ndarray:
    """(68, 2) pixels."""
    side = [(206, 300), (210, 356), (224, 412), (262, 462), (320, 482)]
    return symmetric_face(
        320,
        side,
        brow_points([(228, 276), (252, 259), (292, 269)]),
        nose_points(320, 300, 352, 366, 25),
        eye_points(264, 311, 23, 19),
        eye_points(376, 311, 23, 19),
        mouth_points(320, 416, 46, 12, 28, smile=7, upper_lip=5, lower_lip=8),
    )


def draw(face: np.ndarray) -> Canvas:
    c = Canvas(*SIZE)
    # Tail coat, shirt, bow tie.
    coat = curve(
        [(320, 500), (392, 514), (500, 548), (556, 606), (574, 720), (320, 740), (66, 720)]
        + [(84, 606), (140, 548), (248, 514)],
        True,
    )
    body = c.mask(coat)
    c.paint(body, NIGHT)
    c.fill([(320, 480), (640, 480), (640, 700), (380, 700)], NIGHT_SHADE, inside=body)
    c.fill([(246, 505), (320, 690), (394, 505), (360, 480), (280, 480)], CREAM)
    c.fill([(320, 690), (394, 505), (360, 480), (332, 480)], "#ecdcc3")
    for x in (0, 1):
        lapel = np.array([(246, 500), (318, 690), (262, 690), (196, 588), (224, 576), (206, 548)])
        c.fill(mirror(lapel, 320) if x else lapel, NIGHT_LIGHT if not x else "#343a72")
    c.fill(ellipse(184, 610, 15, 15), RED)  # a carnation
    for turn in range(0, 360, 60):
        a = np.radians(turn)
        c.fill(ellipse(184 + 12 * np.cos(a), 610 + 12 * np.sin(a), 10, 10), RED)
    c.fill(ellipse(184, 610, 9, 9), RED_SHADE)
    for y in (606, 648):
        c.fill(ellipse(320, y, 5, 5), GOLD)
    neck = [(276, 440), (364, 440), (366, 520), (320, 548), (274, 520)]
    c.fill(neck, DEEP)
    c.fill([(270, 502), (320, 552), (296, 570), (250, 520)], "#ffffff")
    c.fill([(370, 502), (320, 552), (344, 570), (390, 520)], "#f5e8d2")
    wing = curve([(320, 556), (288, 536), (244, 530), (240, 562), (246, 596), (290, 586)], True)
    c.fill(wing, RED)
    c.fill(mirror(wing, 320), RED_SHADE)
    c.line(curve([(252, 548), (280, 556), (306, 561)]), RED_SHADE, 4, taper=1)
    c.line(curve([(388, 548), (360, 556), (334, 561)]), "#952522", 4, taper=1)
    c.fill(
        curve([(304, 546), (336, 546), (340, 562), (334, 578), (306, 578), (300, 562)], True),
        "#f05c50",
    )
    # Ears, side hair, head.
    for side in (0, 1):
        ear = ellipse(200, 338, 24, 34, -8)
        inner = ellipse(198, 338, 12, 20, -8)
        c.fill(mirror(ear, 320) if side else ear, SHADE if side else SKIN)
        c.fill(mirror(inner, 320) if side else inner, DEEP if side else SHADE)
    head = np.concatenate(
        [curve(face[:17]), curve([(434, 300), (430, 230), (380, 190), (320, 180)])[1:]]
        + [curve([(320, 180), (260, 190), (210, 230), (206, 300)])[1:-1]]
    )
    inside = c.mask(head)
    c.paint(inside, SKIN)
    c.fill(
        curve([(352, 150), (336, 300), (352, 400), (330, 500), (470, 500), (470, 150)], True),
        SHADE,
        inside=inside,
    )
    for x, colour in ((243, "#f29b7c"), (397, "#d9805f")):
        c.fill(ellipse(x, 366, 25, 17), colour, inside=inside)
    for side in (0, 1):
        burn = curve([(199, 235), (226, 236), (223, 290), (222, 340), (209, 362), (202, 310)], True)
        c.fill(mirror(burn, 320) if side else burn, "#47281a" if side else HAIR)
    c.fill(BRIM + (0, -12), DEEP, inside=inside, opacity=0.7)
    # Eyes.
    for which, first in enumerate((36, 42)):
        x, y = face[first : first + 6].mean(0)
        white = curve(face[first : first + 6], True)
        c.fill(white, "#ffffff")
        eye = c.mask(white)
        c.fill(ellipse(x + 3, y + 1, 12, 13), "#3f7d6e", inside=eye)
        c.fill(ellipse(x + 3, y + 1, 7, 7.5), "#191b33", inside=eye)
        c.fill(ellipse(x + 7, y - 4, 3.4, 3.4), "#ffffff", inside=eye)
        lid = curve(face[first : first + 4])
        c.fill(
            np.concatenate([lid, curve(face[first : first + 4] + (0, 7))[::-1]]),
            "#c98662" if which else "#dd9a72",
            inside=eye,
        )
        c.line(lid, HAIR, 4.5, taper=0.4)
    # Monocle with its chain.
    c.line(curve([(406, 330), (424, 380), (416, 450), (430, 520), (404, 590)]), GOLD, 2.6)
    c.line(np.concatenate([r := ellipse(377, 312, 35, 36), r[:1]]), GOLD, 6)
    c.fill(curve([(352, 300), (366, 286), (372, 288), (356, 308)], True), "#ffffff", opacity=0.5)
    # Brows.
    for first, colour in ((17, HAIR), (22, "#47281a")):
        c.line(curve(face[first : first + 5]), colour, 13, taper=0.55)
    # Nose.
    c.fill(
        curve(
            [
                (316, 290),
                (324, 290),
                (344, 352),
                (338, 368),
                (320, 372),
                (298, 367),
                (296, 352),
                (310, 330),
            ],
            True,
        ),
        DEEP,
        opacity=0.55,
    )
    c.fill(
        curve(
            [
                (314, 284),
                (325, 284),
                (342, 348),
                (336, 363),
                (318, 367),
                (297, 361),
                (296, 348),
                (308, 326),
            ],
            True,
        ),
        "#f8c9a3",
    )
    c.fill(ellipse(310, 349, 5, 6), "#ffe0c4")
    # Mouth: a dark room, a tongue, teeth.
    c.fill(outer_mouth(face), "#c4594c")
    opening = c.mask(inner_mouth(face))
    c.paint(opening, "#551a25")
    c.fill(ellipse(322, 449, 29, 17), "#e8696a", inside=opening)
    c.line([(322, 436), (322, 452)], "#c94e55", 2.5, taper=0.7, inside=opening)
    teeth = face[60:65] + (0, 9)
    c.fill(
        np.concatenate([curve(face[60:65] - (0, 14)), curve(teeth)[::-1]]),
        "#ffffff",
        inside=opening,
    )
    c.line(curve([(304, 464), (320, 468), (336, 464)]), DEEP, 4, taper=1)
    # The moustache of a conductor.
    left = [(320, 377), (296, 369), (262, 382), (232, 396), (210, 380), (208, 358), (219, 349)]
    left += [(228, 357), (222, 366), (229, 376), (240, 372), (258, 360), (284, 358), (306, 365)]
    half = curve([*left[:5], *left[5:]], True)
    shape = np.array(left, float)
    shape[:, 1] += 14
    half = curve(shape, True)
    c.fill(half, HAIR)
    c.fill(mirror(half, 320), "#47281a")
    c.line(curve([(308, 384), (284, 378), (250, 389)]), "#7a4a33", 3, taper=1)
    # Top hat.
    lift = (0, -26)
    crown = np.concatenate(
        [curve([(218, 216), (212, 130), (200, 62)]), curve([(200, 62), (320, 46), (440, 62)])]
        + [curve([(440, 62), (428, 130), (422, 216)]), curve([(422, 216), (320, 238), (218, 216)])]
    )
    hat = c.mask(crown + lift)
    shady = [(342, 0), (520, 0), (520, 300), (346, 300)]
    c.paint(hat, NIGHT)
    c.fill(shady, NIGHT_SHADE, inside=hat)
    shine = curve([(222, 80), (234, 78), (248, 160), (244, 194), (236, 186)], True)
    c.fill(shine + lift, NIGHT_LIGHT, inside=hat)
    top = curve([(190, 172), (320, 196), (450, 172)])
    low = curve([(450, 216), (320, 240), (190, 216)])
    band = ImageChops.multiply(c.mask(np.concatenate([top, low]) + lift), hat)
    c.paint(band, RED)
    c.fill(shady, RED_SHADE, inside=band)
    edge = c.mask(BRIM + lift)
    c.paint(edge, NIGHT_LIGHT)
    c.fill(shady, NIGHT, inside=edge)
    return c


def background() -> Canvas:
    c = Canvas(*SIZE, "#f9c784")
    for i, colour in enumerate(("#fbd59b", "#fde2b5", "#feedcd")):
        c.fill(ellipse(320, 330, 330 - 70 * i, 330 - 70 * i), colour)
    c.fill([(0, 606), (640, 606), (640, 680), (0, 680)], "#c9713f")
    c.fill([(0, 606), (640, 606), (640, 616), (0, 616)], "#e08a52")
    for side in (0, 1):
        for i, colour in enumerate(("#9f2636", "#c2323f", "#9f2636", "#d8434c")):
            x = 118 - 34 * i
            fold = [
                (x, -10),
                (x + 6, 240),
                (x - 26, 470),
                (x + 2 - 6 * i, 700),
                (-30, 700),
                (-30, -10),
            ]
            line = curve(fold[:4])
            shape = np.concatenate([line, [(-30, 700), (-30, -10)]])
            c.fill(mirror(shape, 320) if side else shape, colour)
    for x in range(0, 641, 128):
        c.fill(
            curve([(x - 70, -30), (x + 70, -30), (x + 60, 20), (x, 58), (x - 60, 20)], True),
            "#b02a3a",
        )
        c.line(curve([(x - 64, 12), (x - 40, 40), (x, 56), (x + 40, 40), (x + 64, 12)]), GOLD, 5)
    return c
