"""The photographs among the pictures of packages, and what they show; the rest is drawn or rendered.

Of several files of one name (sizes of one wallpaper) the largest is meant. A stereo pair or a series is here
once, and what shows a known person only where a package states that it is free.
"""

from __future__ import annotations

__all__ = ["LICENSES", "PHOTOGRAPHS"]

PHOTOGRAPHS: dict[str, dict[str, str]] = {
    "scikit-image": {
        "astronaut": "an astronaut in an orange suit with a helmet",
        "brick": "a brick wall in black and white",
        "camera": "a man with a camera on a tripod in black and white",
        "chelsea": "the face of a tabby cat",
        "coffee": "a cup of coffee on a red saucer",
        "coins": "old coins in black and white",
        "grass": "grass in black and white",
        "gravel": "gravel in black and white",
        "hubble_deep_field": "galaxies in deep space",
        "ihc": "stained tissue under a microscope",
        "moon": "the surface of the moon in black and white",
        "motorcycle_left": "a red motorcycle in a garage",
        "retina": "the retina of a human eye",
        "rocket": "a rocket on its launch pad at dusk",
    },
    "scikit-learn": {
        "china": "a Chinese temple among trees",
        "flower": "a flower",
    },
    "mate-backgrounds": {
        "Aqua": "a drop that falls into water",
        "Blinds": "a green leaf from close up",
        "Dune": "yellow grass on a dune by the sea",
        "FreshFlower": "an orange flower from close up",
        "Garden": "a red and yellow flower in a garden",
        "GreenMeadow": "a green meadow from close up",
        "LadyBird": "a ladybird on a stalk among blue flowers",
        "RainDrops": "rain drops on a green leaf",
        "Storm": "dark clouds over a road",
        "TwoWings": "two seeds of a dandelion before orange flowers",
        "Wood": "pale wooden boards",
        "YellowFlower": "a yellow flower on a black background",
    },
    "plasma-workspace-wallpapers": {
        "BytheWater": "wooden planks by the water",
        "ColdRipple": "a jetty on a calm grey lake",
        "ColorfulCups": "blue and pink cups in rows",
        "DarkestHour": "a dark blue lake in the mist",
        "EveningGlow": "rowing boats on a shore at sunset",
        "FallenLeaf": "a fallen leaf in autumn",
        "Grey": "the curved front of a building in black and white",
        "Kite": "a kite in a blue sky",
        "OneStandsOut": "green plants from above with an orange one among them",
        "Path": "a path through a dark forest",
        "summer_1am": "a calm lake under a pink sky",
    },
    "lxqt-themes": {
        "Butterfly-Kenneth-Wimer": "an orange butterfly on a dry plant",
        "Valendas": "mountains under grey clouds",
        "after-the-rain": "dark clouds at sunset",
        "appleflower": "pink buds of an apple tree",
        "beam": "beams of light through dark clouds",
        "butterfly": "a butterfly on a purple flower",
        "cloud": "small clouds in a blue sky",
        "drop": "a drop of water on a blade of grass",
        "flowers": "purple and blue flowers in a meadow",
        "fog": "fog over a brown hill",
        "this-is-not-windows": "bare green hills under a blue sky",
    },
    "opencv-doc": {
        "aero1": "a town from the air",
        "aloeL": "an aloe in a flower pot",
        "apple": "an apple",
        "baboon": "the face of a mandrill",
        "board": "a green circuit board",
        "building": "a white building",
        "butterfly": "a black and white butterfly on a leaf",
        "fruits": "an orange, a kiwi and other fruit",
        "graf1": "graffiti on a wall",
        "home": "a yellow building with a tower under a blue sky",
        "leuvenA": "a street of old brick houses",
        "orange": "an orange",
        "plant": "a plant in a pot",
        "rubberwhale1": "toys and letters before a fence",
        "scenetext01": "a sign against parking at a street",
        "scenetext02": "a sign with white writing at night",
        "scenetext03": "the sign of a copy shop",
        "scenetext04": "a yellow building behind a wall",
        "scenetext05": "a yellow barrier on a pavement",
        "scenetext06": "a yellow house with a shop in a street",
        "squirrel_cls": "a squirrel on a branch",
    },
}

# of single files, where the package's documentation states one
LICENSES: dict[str, dict[str, str]] = {
    "scikit-image": {
        "astronaut": "public domain (NASA)",
        "brick": "CC0",
        "camera": "CC0 (Lav Varshney)",
        "chelsea": "CC0 (Stefan van der Walt)",
        "coffee": "CC0 (Rachel Michetti)",
        "coins": "no known copyright restrictions",
        "grass": "CC0",
        "gravel": "CC0",
        "hubble_deep_field": "public domain (NASA)",
        "ihc": "no known copyright restrictions",
        "moon": "not stated by scikit-image",
        "motorcycle_left": "not stated by scikit-image (Middlebury 2014 stereo data set)",
        "retina": "CC0 (Mikael Häggström)",
        "rocket": "public domain (SpaceX)",
    },
    "scikit-learn": {"china": "CC-BY-2.0", "flower": "CC-BY-2.0"},
}
