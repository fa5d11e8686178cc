"""The captain: pen, ink and a little watercolour."""

import numpy as np
from PIL import ImageChops

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
    noise,
    nose_points,
    resample,
    rgb,
    wobble,
)

SIZE = (640, 680)
INNER_LIP = False
INK, PAPER = "#241f2b", "#fdf8ec"
BLUE, FLESH, ROSE, RED = "#3f5f8c", "#f3cfae", "#e39a86", "#b3322e"


def landmarks() -> np.ndarray:
    """(68, 2) pixels."""
    side = [(204, 290), (200, 350), (210, 420), (250, 484), (318, 512)]
    other = [(436, 290), (440, 350), (430, 420), (390, 484), (320, 512)]
    jaw = resample(np.concatenate([curve(side)[:-1], curve(other)[::-1]]), 17)
    return np.concatenate(
        [
            jaw,
            brow_points([(222, 276), (252, 255), (292, 268)]),
            brow_points([(348, 268), (388, 255), (418, 276)]),
            nose_points(320, 292, 346, 374, 36),
            eye_points(260, 302, 22, 11),
            eye_points(380, 302, 22, 11),
            mouth_points(320, 424, 44, 9, 27, smile=4, upper_lip=5, lower_lip=8),
        ]
    )


class Pen:
    """A nib with a hand: no line is quite where it was meant."""

    def __init__(self, canvas: Canvas, seed: int) -> None:
        self.canvas = canvas
        self.rng = np.random.default_rng(seed)
        height, width = canvas.height * SCALE, canvas.width * SCALE
        self.pigment = 0.8 * noise(height, width, 90, self.rng) + 0.35 * noise(
            height, width, 9, self.rng
        )

    def ink(self, line, width=3.0, *, size=0.7, taper=0.75, inside=None, closed=False) -> None:
        line = np.asarray(line, float)
        if closed:
            line = np.concatenate([line, line[:6]])
        drawn = wobble(line, self.rng, size, 40)
        self.canvas.line(drawn, INK, width, taper=taper, inside=inside)

    def outline(self, line, width=3.2, **options) -> None:
        """A line gone over twice."""
        self.ink(line, width, **options)
        self.ink(line, 0.5 * width, **{**options, "size": 1.6})

    def hatch(self, area, angle: float, gap: float, width=1.3, inside=None, jitter=1.0) -> None:
        """Parallel strokes over an outline."""
        c = self.canvas
        mask = c.mask(area)
        if inside is not None:
            mask = ImageChops.multiply(mask, inside)
        area = np.asarray(area, float)
        middle, reach = area.mean(0), np.ptp(area, axis=0).max()
        a = np.radians(angle)
        along, across = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
        strokes = []
        for s in np.arange(-reach, reach, gap):
            at = middle + across * (s + self.rng.normal(0, 0.2 * gap))
            strokes.append(
                wobble(np.array([at - reach * along, at + reach * along]), self.rng, 0.5, 60)
                + self.rng.normal(0, 0.3 * jitter, 2)
            )
        c.lines(strokes, INK, width, inside=mask, opacity=0.85)

    def wash(self, outline, colour: str, strength=0.8, soft=2.0, inside=None) -> None:
        """Watercolour: uneven, with a dark rim where it dried."""
        c = self.canvas
        area = np.asarray(outline, float)
        mask = c.mask(wobble(np.concatenate([area, area[:1]]), self.rng, 2.0, 60), soft=soft)
        texture = np.clip(rgb(colour) - 9 * self.pigment[..., None], 0, 255)
        c.paint(mask, texture, inside=inside, opacity=strength)
        inner = c.mask(area, soft=5)
        c.paint(ImageChops.subtract(mask, inner), colour, inside=inside, opacity=0.35)


def beard_edge() -> np.ndarray:
    """From the left ear round below the chin to the right ear."""
    left = [(198, 336), (176, 400), (176, 470), (206, 540), (256, 588), (318, 612)]
    return np.concatenate([curve(left)[:-1], curve(mirror(left, 319))])


def draw(face: np.ndarray) -> Canvas:
    c = Canvas(*SIZE)
    pen = Pen(c, 3)
    rng = pen.rng
    # Jacket with brass buttons over a striped jersey.
    coat = curve(
        [(320, 520), (430, 540), (530, 570), (580, 640), (592, 740), (48, 740), (60, 640)]
        + [(110, 570), (210, 540)],
        True,
    )
    body = c.mask(coat)
    c.paint(body, PAPER)
    jersey = np.array([(236, 520), (404, 520), (392, 620), (340, 700), (300, 700), (248, 620)])
    pen.wash(coat, BLUE, 0.92)
    c.fill(jersey, PAPER)
    on_jersey = c.mask(jersey)
    for y in range(548, 700, 26):
        pen.wash(
            np.array(
                [(220, y), (320, y + 9), (420, y), (420, y + 11), (320, y + 21), (220, y + 11)]
            ),
            RED,
            0.85,
            1.0,
            on_jersey,
        )
    for side in (0, 1):
        lapel = np.array([(238, 528), (196, 556), (176, 610), (214, 620), (206, 640), (306, 712)])
        edge = mirror(lapel, 320) if side else lapel
        pen.outline(curve(edge), 3.4)
        pen.outline(
            np.array([(236, 524), (250, 616), (302, 708)])
            if not side
            else np.array([(404, 524), (390, 616), (338, 708)]),
            3,
        )
        pen.hatch(edge, 62 if side else 118, 7, inside=body)
    shadow = np.array([(430, 560), (540, 590), (600, 720), (420, 720), (440, 640)])
    pen.hatch(shadow, 40, 6.5, inside=body)
    pen.hatch(shadow + (50, 10), -35, 7.5, inside=body)
    pen.hatch(np.array([(50, 640), (120, 580), (120, 720), (40, 720)]), 55, 7.5, inside=body)
    pen.outline(curve([(212, 538), (110, 570), (60, 640), (48, 700)]), 4)
    pen.outline(curve([(428, 538), (530, 570), (580, 640), (592, 700)]), 4)
    for x, y in ((196, 656), (444, 656)):
        c.fill(ellipse(x, y, 10, 10), "#e4b54a")
        pen.outline(ellipse(x, y, 10, 10), 2.2, closed=True, taper=0.2)
    # Ears and face.
    for side in (0, 1):
        ear = curve([(206, 292), (182, 284), (172, 312), (182, 346), (206, 350)], False)
        ear = mirror(ear, 320) if side else ear
        c.fill(ear, PAPER)
        pen.wash(ear, FLESH, 0.9)
        pen.outline(ear, 3)
        fold = curve([(196, 302), (186, 312), (190, 330)])
        pen.ink(mirror(fold, 320) if side else fold, 2)
    skull = np.concatenate([curve(face[:17]), [(440, 220), (200, 220)]])
    inside = c.mask(skull)
    c.paint(inside, PAPER)
    pen.wash(skull, FLESH, 0.95)
    for x in (232, 408):
        pen.wash(ellipse(x, 352, 30, 20), ROSE, 0.75, 7, inside)
    pen.hatch(
        np.array([(396, 230), (440, 230), (446, 400), (412, 390), (418, 320)]),
        60,
        6.5,
        inside=inside,
    )
    # Beard: paper-white, in long strokes that run down and out from the mouth.
    rim = beard_edge()
    inner = [(436, 322), (420, 372), (376, 392), (320, 384), (264, 392), (220, 372), (204, 322)]
    roots = 0.88 * rim + 0.12 * np.array([320, 420])
    beard = np.concatenate([roots, curve(inner)])
    c.fill(beard, PAPER)
    pen.wash(beard + (0, 2), "#cfd3dc", 0.55, 4)
    # Mouth, before the strokes run up to it.
    lips = np.concatenate(
        [curve(face[48:55]), curve(np.concatenate([face[54:60], face[48:49]]))[1:-1]]
    )
    opening = inner_mouth(face)
    hole = c.mask(opening)
    heart = np.array([320, 420.0])
    # Rings of locks, the outermost first, each over the roots of the one below.
    for reach, count, size in ((1.0, 19, 1.0), (0.84, 17, 0.95), (0.68, 14, 0.85), (0.53, 11, 0.7)):
        for i in rng.permutation(count):
            along = np.clip((i + 0.5 + rng.normal(0, 0.12)) / count, 0.015, 0.985)
            end = heart + reach * (rim[int(along * (len(rim) - 1))] - heart)
            out = (end - heart) / np.linalg.norm(end - heart)
            out = out + (0, 0.35)  # hair hangs
            side = np.array([-out[1], out[0]])
            curl = rng.choice([-1, 1]) * rng.uniform(3, 9)
            tip = end + rng.uniform(2, 12) * out + curl * side
            a, b = (
                end - 62 * size * out - 22 * size * side,
                end - 62 * size * out + 22 * size * side,
            )
            left = (0.42 * a + 0.58 * tip) - 0.28 * 22 * size * side + 0.6 * curl * side
            right = (0.42 * b + 0.58 * tip) + 0.28 * 22 * size * side + 0.6 * curl * side
            lock = np.concatenate([curve([a, left, tip]), curve([tip, right, b])[1:]])
            c.fill(lock, PAPER)
            on = c.mask(lock)
            c.fill(
                curve([b, right, tip, right - 9 * size * side], True), "#b9c0cf", soft=2, inside=on
            )
            pen.ink(lock, 2.3, taper=0.85, size=0.4)
            root = end - 44 * size * out
            for share in rng.uniform(-0.7, 0.7, 3):
                hair = curve(
                    [
                        root + 15 * size * share * side,
                        (root + tip) / 2 + 8 * share * side + 0.4 * curl * side,
                        tip - 6 * out,
                    ]
                )
                pen.ink(hair, 1.5, taper=0.95, size=0.3)
    c.fill(lips, "#c9756a")
    c.paint(hole, "#3a1a22")
    c.fill(ellipse(322, 450, 27, 15), "#d9706a", inside=hole)
    teeth = np.concatenate([curve(face[60:65] - (0, 14)), curve(face[60:65] + (0, 8))[::-1]])
    c.fill(teeth, "#fffdf4", inside=hole)
    for x in (302, 313, 331, 342):
        c.line([(x, 408), (x, 426)], INK, 1.1, inside=ImageChops.multiply(hole, c.mask(teeth)))
    c.fill(
        [(319, 405), (331, 405), (331, 430), (319, 430)],
        "#e4b54a",
        inside=ImageChops.multiply(hole, c.mask(teeth)),
    )
    pen.ink(np.concatenate([opening, opening[:1]]), 2.6, size=0.4, taper=0.1)
    pen.ink(curve(np.concatenate([face[54:60], face[48:49]])), 2.4, size=0.4, taper=0.7)
    # Moustache: two wings of hair.
    for side in (0, 1):
        wing = [(320, 384), (290, 376), (252, 386), (222, 412), (206, 420), (218, 432), (250, 424)]
        wing += [(276, 414), (300, 412), (318, 408)]
        shape = curve(wing, True)
        shape = mirror(shape, 320) if side else shape
        c.fill(shape, PAPER)
        pen.wash(shape, "#cfd3dc", 0.35)
        on = c.mask(shape)
        hair = []
        for _ in range(20):
            y = rng.uniform(-1, 1)
            start = np.array([320 - rng.uniform(2, 60), 394 + 11 * y])
            mid = np.array([start[0] - 34, start[1] + 2 + 4 * y])
            stop = np.array([max(206, start[0] - rng.uniform(50, 80)), start[1] + 22])
            one = curve([start, mid, stop])
            hair.append(mirror(one, 320) if side else one)
        c.lines(hair, INK, 1.6, taper=0.8, inside=on)
        pen.outline(shape, 2.6, closed=True, taper=0.3)
    # Nose.
    nose = curve(
        [(304, 300), (300, 330), (278, 352), (280, 376), (302, 378), (320, 386), (340, 378)]
        + [(362, 376), (362, 350), (340, 330), (336, 300)]
    )
    pen.wash(ellipse(320, 360, 34, 21), ROSE, 0.8, 5)
    pen.outline(nose[18:-18], 3.2)
    pen.ink(curve([(292, 366), (300, 372), (310, 368)]), 2.6)
    pen.ink(curve([(330, 368), (340, 372), (350, 366)]), 2.6)
    pen.hatch(np.array([(336, 310), (352, 350), (362, 368), (346, 376), (338, 346)]), 60, 5, 1.1)
    # Eyes with the creases of much weather.
    for first, out in ((36, -1), (42, 1)):
        outline = curve(face[first : first + 6], True)
        x, y = face[first : first + 6].mean(0)
        c.fill(outline, "#ffffff")
        eye = c.mask(outline)
        c.fill(ellipse(x + 2, y - 1, 10, 10.5), "#5b8fb0", inside=eye)
        c.fill(ellipse(x + 2, y - 1, 5.4, 5.8), INK, inside=eye)
        c.fill(ellipse(x + 5, y - 4, 2.5, 2.5), "#ffffff")
        pen.outline(curve(face[first : first + 4]), 4.2, size=0.3)
        low = np.concatenate([face[first + 3 : first + 6], face[first : first + 1]])
        pen.ink(curve(low), 2, size=0.3)
        pen.ink(curve(face[first : first + 4] + [(0, -8), (0, -7), (0, -7), (0, -8)]), 1.9)
        pen.ink(curve(low + (0, 9)), 1.7)
        for dy in (-10, 0, 9):
            pen.ink(
                curve(
                    [
                        (x + out * 28, y + 0.5 * dy),
                        (x + out * 38, y + dy),
                        (x + out * 44, y + 1.5 * dy),
                    ]
                ),
                1.8,
            )
    # Brows like gulls.
    for first, out in ((17, -1), (22, 1)):
        line = curve(face[first : first + 5])
        shape = np.concatenate([line - (0, 9), (line + (0, 8))[::-1]])
        c.fill(curve(shape[::4], True), PAPER)
        hair = []
        for _ in range(26):
            at = line[rng.integers(len(line))] + (0, rng.uniform(-5, 7))
            hair.append(
                curve(
                    [at, at + (out * 9, -7), at + (out * rng.uniform(14, 22), -rng.uniform(4, 11))]
                )
            )
        c.lines(hair, INK, 1.9, taper=0.8)
    # Side hair, then the cap.
    for side in (0, 1):
        tuft = curve([(194, 226), (222, 226), (218, 270), (208, 306), (194, 312), (190, 270)], True)
        c.fill(mirror(tuft, 320) if side else tuft, PAPER)
        hair = []
        for _ in range(16):
            at = np.array([rng.uniform(192, 216), rng.uniform(228, 262)])
            one = curve([at, at + (-4, 22), at + (rng.uniform(-10, 2), rng.uniform(36, 56))])
            hair.append(mirror(one, 320) if side else one)
        c.lines(hair, INK, 1.8, taper=0.8)
    crown = curve(
        [(186, 190), (150, 128), (196, 70), (320, 42), (444, 70), (490, 128), (454, 190)], False
    )
    crown = np.concatenate([crown, curve([(454, 190), (320, 166), (186, 190)])[1:]])
    c.fill(crown, PAPER)
    pen.wash(crown, "#dfe3ea", 0.7)
    on_crown = c.mask(crown)
    pen.hatch(
        np.array([(400, 60), (500, 120), (460, 200), (410, 180), (440, 120)]),
        55,
        7,
        inside=on_crown,
    )
    pen.outline(crown[:85], 4)
    for line in (
        [(186, 186), (206, 150), (240, 128)],
        [(452, 186), (432, 150), (398, 128)],
        [(246, 178), (252, 156), (270, 140)],
    ):
        pen.ink(curve(line), 2.2)
    band = np.concatenate(
        [curve([(186, 186), (320, 160), (454, 186)]), curve([(450, 240), (320, 214), (190, 240)])]
    )
    c.fill(band, PAPER)
    pen.wash(band, BLUE, 1.0)
    pen.hatch(band, 90, 6, inside=c.mask(band))
    pen.outline(np.concatenate([band, band[:1]]), 3.4, taper=0.1)
    peak = np.concatenate(
        [
            curve([(192, 236), (320, 208), (448, 236)]),
            curve([(462, 254), (400, 262), (320, 246), (240, 262), (178, 254)]),
        ]
    )
    c.fill(peak, "#2d2a3a")
    pen.outline(np.concatenate([peak, peak[:1]]), 3.4, taper=0.1)
    c.line(curve([(236, 250), (320, 234), (392, 246)]), PAPER, 3, taper=1)
    c.line(curve([(196, 238), (320, 213), (444, 238)]), "#e4b54a", 4)
    # Anchor.
    c.fill(ellipse(320, 166, 33, 33), PAPER)
    pen.wash(ellipse(320, 166, 30, 30), "#e4b54a", 0.95)
    pen.outline(ellipse(320, 166, 31, 31), 3, closed=True, taper=0.1)
    pen.ink([(320, 150), (320, 188)], 4, size=0.3, taper=0.1)
    pen.ink([(309, 160), (331, 160)], 3.4, size=0.3, taper=0.1)
    pen.ink(ellipse(320, 146, 4.5, 4.5), 2.4, size=0.2, closed=True, taper=0.1)
    pen.ink(
        curve([(301, 172), (306, 184), (320, 189), (334, 184), (339, 172)]),
        3.6,
        size=0.3,
        taper=0.2,
    )
    return c


def background() -> Canvas:
    c = Canvas(*SIZE, "#f3e7cb")
    pen = Pen(c, 17)
    rng = pen.rng
    everywhere = np.array([(-5, -5), (645, -5), (645, 685), (-5, 685)])
    pen.wash(everywhere, "#f1e4c6", 1.0)
    sky = np.array(
        [(-20, -20), (660, -20), (660, 240), (470, 262), (320, 240), (160, 266), (-20, 250)]
    )
    pen.wash(sky, "#bcd3dc", 0.55, 12)
    pen.wash(ellipse(540, 120, 52, 52), "#f0b95a", 0.6, 5)
    sea = np.array([(-20, 430), (660, 430), (660, 720), (-20, 720)])
    pen.wash(sea, "#6f9bb5", 0.6, 5)
    pen.ink([(-5, 430), (645, 430)], 2.6, taper=0)
    for _ in range(90):
        x, y = rng.uniform(-10, 640), rng.uniform(444, 680)
        w = rng.uniform(14, 40) * (y - 380) / 200
        pen.ink(
            curve([(x, y), (x + w / 4, y - 4), (x + w / 2, y), (x + 0.75 * w, y - 4), (x + w, y)]),
            1.7,
        )
    for x, y, s in ((60, 150, 1), (110, 110, 0.7), (460, 60, 0.8), (596, 250, 0.9)):
        pen.ink(
            curve(
                [
                    (x - 22 * s, y - 8 * s),
                    (x - 9 * s, y - 11 * s),
                    (x, y),
                    (x + 9 * s, y - 11 * s),
                    (x + 22 * s, y - 8 * s),
                ]
            ),
            2.6,
        )
    # A ship far off, a lighthouse.
    hull = np.array([(24, 402), (128, 402), (112, 430), (42, 430)])
    pen.wash(hull, RED, 0.8)
    pen.outline(np.concatenate([hull, hull[:1]]), 2.6, taper=0.1)
    pen.ink([(78, 300), (78, 402)], 3, taper=0)
    for sail in ([(74, 310), (30, 390), (74, 390)], [(82, 318), (118, 390), (82, 390)]):
        c.fill(sail, PAPER)
        pen.outline(np.array([*sail, sail[0]]), 2.4, taper=0.1)
        pen.hatch(sail, 60, 8)
    tower = np.array([(548, 430), (556, 300), (590, 300), (598, 430)])
    c.fill(tower, PAPER)
    on = c.mask(tower)
    for y in (320, 366, 412):
        pen.wash(np.array([(530, y), (620, y), (620, y + 22), (530, y + 22)]), RED, 0.8, 1, on)
    pen.hatch(np.array([(578, 300), (590, 300), (598, 430), (580, 430)]), 70, 5)
    pen.outline(np.concatenate([tower, tower[:1]]), 2.6, taper=0.1)
    lamp = np.array([(560, 300), (560, 276), (586, 276), (586, 300)])
    c.fill(lamp, "#f6d272")
    pen.outline(np.concatenate([lamp, lamp[:1]]), 2.4, taper=0.1)
    roof = np.array([(554, 276), (573, 252), (592, 276)])
    pen.wash(roof, RED, 0.9, 1)
    pen.outline(np.concatenate([roof, roof[:1]]), 2.4, taper=0.1)
    return c
