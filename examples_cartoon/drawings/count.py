"""The count: pixel art, 112 x 120 pixels in six sizes."""

import cv2
import numpy as np
from PIL import Image

from examples_cartoon.drawings.pencils import (
    brow_points,
    curve,
    ellipse,
    eye_points,
    inner_mouth,
    mirror,
    mouth_points,
    nose_points,
    outer_mouth,
    rgb,
    symmetric_face,
)

GRID = (112, 120)  # pixels of the drawing
PIXEL = 6  # pixels of the file to one of those
INNER_LIP = False
MIDDLE = 55.5

PALETTE = {
    "line": "#1a1028",
    "hair": "#2b1d44",
    "hair_light": "#4a3572",
    "hair_shine": "#7a5cb0",
    "skin": "#c3d6b9",
    "skin_light": "#e6f0d8",
    "skin_shade": "#93b09a",
    "skin_deep": "#66827d",
    "blush": "#c89aa0",
    "cape": "#3a1030",
    "cape_light": "#5c1740",
    "red": "#c81d3f",
    "red_light": "#f0455a",
    "red_deep": "#7d1034",
    "white": "#f8f4e8",
    "white_shade": "#c4bfd0",
    "gold": "#f5b83d",
    "gold_light": "#ffe38a",
    "mouth": "#3a0a1e",
    "tongue": "#e0566a",
    "tongue_deep": "#a83050",
    "eye": "#ffd23e",
    "vest": "#27304f",
    "vest_light": "#3c4a76",
}
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16


class Grid:
    """A small picture, each of whose pixels is seen."""

    def __init__(self, width: int, height: int) -> None:
        self.colours = np.zeros((height, width, 3), np.uint8)
        self.alpha = np.zeros((height, width), bool)
        rows, columns = np.mgrid[:height, :width]
        self.rows, self.columns = rows, columns
        self.bayer = np.tile(BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width]

    def area(self, outline) -> np.ndarray:
        """Which pixels an outline holds, bool (H, W)."""
        image = np.zeros(self.alpha.shape, np.uint8)
        places = np.round(np.asarray(outline, float) * 16).astype(np.int32)
        cv2.fillPoly(image, [places], 1, cv2.LINE_8, 4)
        return image.astype(bool)

    def fill(self, area, colour: str, within=None) -> np.ndarray:
        """Colour an outline or an area, and return the area."""
        if not (isinstance(area, np.ndarray) and area.dtype == bool):
            area = self.area(area)
        if within is not None:
            area = area & within
        self.colours[area] = rgb(PALETTE.get(colour, colour))
        self.alpha |= area
        return area

    def shade(self, area: np.ndarray, colour: str, amount: np.ndarray) -> None:
        """Dither a colour in: amount 0 to 1 for every pixel."""
        self.fill(area & (amount > self.bayer), colour)

    def line(self, points, colour: str, thickness: int = 1, within=None) -> None:
        image = np.zeros(self.alpha.shape, np.uint8)
        places = np.round(np.asarray(points, float) * 16).astype(np.int32)
        cv2.polylines(image, [places], False, 1, thickness, cv2.LINE_8, 4)
        self.fill(image.astype(bool), colour, within)

    def rim(self, area: np.ndarray) -> np.ndarray:
        """The pixels just inside an area's edge."""
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        inner = cv2.erode(area.astype(np.uint8), cross, borderValue=1)
        return area & ~inner.astype(bool)

    def outlined(self, area, colour: str, edge: str = "line", within=None) -> np.ndarray:
        area = self.fill(area, colour, within)
        self.fill(self.rim(area), edge)
        return area

    def finished(self) -> Image.Image:
        both = np.dstack([self.colours, self.alpha.astype(np.uint8) * 255])
        return Image.fromarray(both.repeat(PIXEL, 0).repeat(PIXEL, 1))


def grid_landmarks() -> np.ndarray:
    """(68, 2) in pixels of the drawing."""
    side = [(33, 53), (33.5, 63), (37, 73), (45, 81.5), (MIDDLE, 85)]
    return symmetric_face(
        MIDDLE,
        side,
        brow_points([(37, 46.5), (42, 44), (50, 48)]),
        nose_points(MIDDLE, 52, 61, 64, 4),
        eye_points(44, 54, 5, 4, -0.6),
        eye_points(2 * MIDDLE - 44, 54, 5, 4, 0.6),
        mouth_points(MIDDLE, 71.5, 9.5, 2, 7, smile=2, upper_lip=1.4, lower_lip=1.8),
    )


def landmarks() -> np.ndarray:
    """(68, 2) pixels of the file: the middle of a pixel of the drawing is at its sixth's middle."""
    return grid_landmarks() * PIXEL + (PIXEL - 1) / 2


def both(shape) -> tuple[np.ndarray, np.ndarray]:
    shape = np.asarray(shape, float)
    return shape, mirror(shape, MIDDLE)


def draw(face: np.ndarray) -> Image.Image:
    g = Grid(*GRID)
    face = (np.asarray(face) - (PIXEL - 1) / 2) / PIXEL
    x, y = g.columns, g.rows
    # The high collar of the cape, red inside.
    for wing in both(
        [(55, 98), (34, 92), (24, 76), (14, 52), (9, 62), (8, 80), (14, 98), (28, 110), (55, 116)]
    ):
        area = g.outlined(curve(wing, True), "red")
        g.shade(area & ~g.rim(area), "red_deep", np.clip((y - 66) / 34, 0, 1))
        g.shade(area & ~g.rim(area), "red_light", np.clip((62 - y) / 14, 0, 0.6))
    body = g.outlined(
        curve(
            [
                (MIDDLE, 92),
                (76, 93),
                (92, 99),
                (101, 110),
                (104, 124),
                (7, 124),
                (10, 110),
                (19, 99),
                (35, 93),
            ],
            True,
        ),
        "cape",
    )
    g.shade(
        body & ~g.rim(body), "cape_light", np.clip((40 - np.abs(x - 28)) / 60, 0, 1) * (y < 116)
    )
    vest = g.outlined([(42, 92), (69, 92), (71, 124), (40, 124)], "vest", within=body | g.alpha)
    g.shade(vest & ~g.rim(vest), "vest_light", np.clip((54 - x) / 18, 0, 0.8))
    shirt = g.outlined([(44, 90), (67, 90), (61, 106), (55.5, 113), (50, 106)], "white")
    g.shade(shirt & ~g.rim(shirt), "white_shade", np.clip((x - 55) / 16, 0, 1))
    # Neck.
    neck = g.fill([(47, 80), (64, 80), (64, 92), (55.5, 96), (47, 92)], "skin_shade")
    g.shade(neck, "skin_deep", np.clip((92 - y) / 8, 0, 1))
    # Bow tie and a medal.
    for wing in both([(55, 97), (45, 91.5), (42, 93), (42, 102), (45, 103), (55, 99)]):
        area = g.outlined(wing, "red")
        g.shade(area & ~g.rim(area), "red_light", np.clip((97 - y) / 6, 0, 0.8))
    g.outlined([(53, 94), (58, 94), (58, 101), (53, 101)], "red_light")
    g.line([(44, 108), (50, 111)], "gold")
    g.line([(67, 108), (61, 111)], "gold")
    medal = g.outlined(ellipse(MIDDLE, 112, 4.6, 4.6), "gold")
    g.fill(ellipse(MIDDLE, 112, 2, 2), "red")
    g.fill([(53.6, 109.5), (54.4, 109.5), (54.4, 110.2), (53.6, 110.2)], "gold_light", medal)
    # Pointed ears.
    for ear in both([(35, 52), (30, 50), (22, 43), (24, 55), (28, 63), (34, 66)]):
        area = g.outlined(ear, "skin")
        g.shade(area & ~g.rim(area), "skin_shade", np.clip((x - 55) / 6 + 0.2, 0.35, 1) * (y > 50))
        g.line(
            mirror([(28, 51), (30, 56), (32, 60)], MIDDLE)
            if ear[0, 0] > MIDDLE
            else [(28, 51), (30, 56), (32, 60)],
            "skin_deep",
        )
    # Head.
    head = np.concatenate(
        [
            curve(face[:17]),
            curve([(78, 53), (78, 36), (70, 26), (MIDDLE, 23), (41, 26), (33, 36), (33, 53)])[1:-1],
        ]
    )
    area = g.outlined(head, "skin")
    inner = area & ~g.rim(area)
    g.shade(inner, "skin_light", np.clip(1 - np.hypot((x - 46) / 20, (y - 50) / 30), 0, 1) * 1.2)
    g.shade(
        inner, "skin_shade", np.clip((np.hypot((x - 48) / 27, (y - 50) / 37) - 0.78) * 2.6, 0, 1)
    )
    g.shade(
        inner, "skin_deep", np.clip((np.hypot((x - 46) / 29, (y - 48) / 38) - 1.0) * 3.4, 0, 0.9)
    )
    for cheek in (39.5, 71.5):
        g.shade(
            inner, "blush", 0.75 * np.clip(1.5 - np.hypot((x - cheek) / 4, (y - 65) / 2.6), 0, 1)
        )
    # Hair with a widow's peak.
    hair = np.concatenate(
        [
            curve(
                [
                    (32, 58),
                    (29, 44),
                    (31, 28),
                    (40, 18),
                    (MIDDLE, 14),
                    (71, 18),
                    (80, 28),
                    (82, 44),
                    (79, 58),
                ]
            )
        ]
        + [
            np.array(
                [
                    (77, 50),
                    (75.5, 38),
                    (71, 33),
                    (62, 34),
                    (MIDDLE, 43),
                    (49, 34),
                    (40, 33),
                    (35.5, 38),
                    (34, 50),
                ]
            )
        ]
    )
    area = g.outlined(hair, "hair")
    inner = area & ~g.rim(area)
    g.shade(
        inner,
        "hair_light",
        np.clip(1 - np.abs(np.hypot((x - MIDDLE) / 1.3, y - 44) - 21) / 4, 0, 1)
        * (y < 32)
        * np.clip((70 - x) / 22, 0.15, 1),
    )
    g.shade(
        inner,
        "hair_shine",
        0.7
        * np.clip(1 - np.abs(np.hypot((x - MIDDLE) / 1.3, y - 44) - 22) / 2, 0, 1)
        * (y < 27)
        * (x < 56),
    )
    for lock in (
        [(44, 32), (40, 24), (44, 18)],
        [(50, 33), (49, 24), (53, 17)],
        [(61, 33), (63, 24), (60, 17)],
        [(67, 32), (71, 25), (68, 19)],
    ):
        g.line(curve(lock), "line")
    # Eyes.
    for first, look in ((36, 0), (42, 0)):
        points = face[first : first + 6]
        outline = curve(points, True)
        socket = g.area(outline + (0, 0)) | g.area(outline + (0, 1))
        g.fill(
            cv2.dilate(socket.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool), "skin_deep"
        )
        white = g.fill(outline, "white")
        middle = points.mean(0)
        g.fill(ellipse(middle[0] + look, middle[1] + 0.4, 2.7, 3.3), "eye", white)
        g.fill(ellipse(middle[0] + look, middle[1] + 0.4, 1.0, 2.0), "line", white)
        g.fill(
            [
                (middle[0] - 1.9, middle[1] - 1.9),
                (middle[0] - 0.8, middle[1] - 1.9),
                (middle[0] - 0.8, middle[1] - 0.8),
                (middle[0] - 1.9, middle[1] - 0.8),
            ],
            "white",
            white,
        )
        g.line(points[:4] - (0, 0.6), "line")
        g.line(np.concatenate([points[3:6], points[:1]]), "line")
    for first in (17, 22):
        brow = curve(face[first : first + 5])
        g.line(brow, "hair", 3)
        g.line(brow - (0, 0.6), "hair_light")
    # Nose.
    g.line([(55.5, 50), (58, 60)], "skin_shade")
    g.line([(54, 52), (54, 60)], "skin_light")
    g.line([(51, 62), (53, 64), (58, 64), (60, 62)], "skin_deep")
    g.line([(53, 64), (53, 64)], "line")
    g.line([(58, 64), (58, 64)], "line")
    # Mouth with fangs.
    lips = g.fill(outer_mouth(face), "red_deep")
    g.shade(lips, "red", np.clip((y - 74) / 5, 0, 1))
    opening = g.area(inner_mouth(face, 0.75))
    g.fill(opening, "mouth")
    tongue = g.fill(ellipse(MIDDLE, 79, 6.5, 3.6), "tongue", opening)
    g.shade(tongue, "tongue_deep", (np.abs(x - MIDDLE) < 0.8) * 1.0)
    top = curve(face[60:65])
    g.fill(np.concatenate([top - (0, 4), (top + (0, 1.9))[::-1]]), "white", opening)
    for left in (48.6, 60.4):
        g.fill([(left, 68), (left + 2.4, 68), (left + 1.2, 74)], "white", opening)
        g.line([(left + 1.2, 72), (left + 1.2, 74)], "white", within=opening)
    g.line([(53, 84), (58, 84)], "skin_deep", within=g.area(head))
    # A top-hat would be too much; a bat for a hat pin is not.
    bat = np.array(
        [
            (MIDDLE, 10),
            (57.5, 7.5),
            (58, 9.5),
            (64, 5),
            (69, 6),
            (65, 9),
            (64, 12),
            (60.5, 11),
            (MIDDLE, 16),
        ]
    )
    wings = np.concatenate([bat, mirror(bat, MIDDLE)])
    g.outlined(wings, "red")
    g.fill([(53.5, 10.5), (54.3, 10.5), (54.3, 11.3), (53.5, 11.3)], "eye")
    g.fill([(56.7, 10.5), (57.5, 10.5), (57.5, 11.3), (56.7, 11.3)], "eye")
    return g.finished()


def background() -> Image.Image:
    g = Grid(*GRID)
    x, y = g.columns, g.rows
    g.fill(np.ones_like(g.alpha), "#1d1846")
    for level, colour in ((0, "#2c2266"), (22, "#45308a"), (46, "#6b409f"), (70, "#a2529f")):
        g.shade(np.ones_like(g.alpha), colour, np.clip((y - level) / 24, 0, 1))
    rng = np.random.default_rng(12)
    for _ in range(40):
        column, row = rng.integers(0, 112), rng.integers(0, 70)
        g.fill((x == column) & (y == row), "#ffe9b8" if rng.random() < 0.5 else "#9d86d8")
    for column, row in ((14, 14), (28, 34), (100, 46), (7, 50)):
        g.fill(
            ((x == column) & (np.abs(y - row) < 2)) | ((y == row) & (np.abs(x - column) < 2)),
            "#fff6d8",
        )
    moon = g.fill(ellipse(88, 24, 17, 17), "#fff0c0")
    g.shade(moon, "#f2cf8a", np.clip((np.hypot(x - 83, y - 19) - 10) / 12, 0, 1))
    for a, b, r in ((80, 17, 3), (92, 31, 4), (97, 20, 2), (84, 29, 2)):
        g.fill(ellipse(a, b, r, r), "#ecc47c", moon)
        g.fill(ellipse(a + 0.8, b + 0.8, r * 0.7, r * 0.7), "#f6dca0", moon)
    hills = [(v, 92 - 5 * np.sin(v / 13) - 3 * np.sin(v / 5)) for v in range(-2, 116, 2)]
    g.fill([*hills, (116, 124), (-4, 124)], "#2a1748")
    castle = [
        (2, 96),
        (2, 66),
        (1, 66),
        (5, 57),
        (9, 66),
        (8, 66),
        (8, 78),
        (11, 78),
        (11, 75),
        (13, 75),
        (13, 78),
        (15, 78),
    ]
    castle += [(15, 62), (14, 62), (18.5, 50), (23, 62), (22, 62), (22, 96)]
    g.fill(castle, "#1a0e30")
    for column, row in ((5, 70), (18, 66), (19, 76), (11, 84), (5, 82)):
        g.fill((np.abs(x - column) < 1) & (np.abs(y - row) < 2), "#ffc94d")
    for column, row in ((66, 12), (103, 40), (34, 20), (10, 30)):
        for dx, dy in ((0, 0), (1, -1), (2, -1), (3, 0), (-1, -1), (-2, -1), (-3, 0), (0, 1)):
            g.fill((x == column + dx) & (y == row + dy), "#120a24")
    trees = [(v, 104 + (4 if (v // 3) % 2 else -5) + 2 * np.sin(v)) for v in range(-3, 118, 3)]
    g.fill([*trees, (118, 124), (-4, 124)], "#170c2a")
    return g.finished()
