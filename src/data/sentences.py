# ruff: noqa: SIM905
"""Endless plain English sentences for speech synthesis.

The landmarks of real clips come with few words; sentences put together from a small lexicon bring
every phone of English into contact with every other. They need not make much sense.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_LEXICON = {
    "the": "the a my your our her his their this that every another some one".split(),
    "adjective": (
        "old young warm cold brave purple orange yellow quiet noisy famous foggy empty heavy "
        "little bigger broken wooden silver simple happy rough smooth strange usual bitter "
        "modern proud charming thirsty clever lovely wonderful bumpy fresh thin thick deep "
        "hopeful shy pale round"
    ).split(),
    "thing": (
        "apple boat map bottle window mountain puppet garden river voice paper mirror balloon "
        "piano camera village bridge tomato jacket pepper umbrella hammer market shoe thumb "
        "baby father mother brother judge teacher fisherman singer pilot horse puppy rabbit "
        "elephant monkey fox whale owl bee mouse letter story picture problem movie treasure "
        "vision pleasure house cloud mouth path tooth month oil toy coin boy church watch "
        "garage beach fish bush sugar book foot wood moon spoon room shoe juice water"
    ).split(),
    "verb": (
        "moved found washed brought carried opened closed followed painted pushed pulled made "
        "bought borrowed forgot remembered chased helped wanted loved kept built mapped "
        "measured joined enjoyed watched saw showed gave threw whispered about grabbed "
        "improved imagined bumped wrapped missed beamed ruled"
    ).split(),
    "place": (
        "by the bay,near our farm,behind the church,under the bridge,above the valley,in the "
        "morning,before supper,after the storm,at home,over there,from above,on the map,with "
        "both hands,for a while,in public,below the roof,beside the pool,through the fog"
    ).split(","),
    "opening": (
        "maybe,perhaps,of course,by now,however,I believe that,we hope that,people say that,you "
        "may be sure that,my mother thinks that,somehow,both of us know that"
    ).split(","),
    "joint": "and,but,because,while,so,although,before,until,if,whenever".split(","),
    "short": (
        "Put up the map.,Bob may come by.,What a beautiful baby!,How about Monday?,Papa moved "
        "away.,Please come back.,My shoe is blue.,Why would I?,Five of them jumped.,Open your "
        "mouth.,Oh my, how warm!,We heard a bump.,Joy is above all.,Help me move it."
    ).replace("Oh my, how", "Oh my how").split(","),
}  # fmt: skip


def sentences(seed: int = 0) -> Iterator[str]:
    """Sentences of about 4 to 25 words without end, the same ones for the same seed."""
    rng = np.random.default_rng(seed)

    def pick(kind: str) -> str:
        return str(rng.choice(_LEXICON[kind]))

    def noun() -> str:
        adjective = f"{pick('adjective')} " if rng.random() < 0.6 else ""
        return f"{pick('the')} {adjective}{pick('thing')}"

    def clause() -> str:
        place = f" {pick('place')}" if rng.random() < 0.5 else ""
        return f"{noun()} {pick('verb')} {noun()}{place}"

    while True:
        if rng.random() < 0.15:
            yield pick("short")
            continue
        opening = f"{pick('opening')} " if rng.random() < 0.3 else ""
        second = f", {pick('joint')} {clause()}" if rng.random() < 0.5 else ""
        text = f"{opening}{clause()}{second}."
        yield text[0].upper() + text[1:]
