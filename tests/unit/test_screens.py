"""The pictures that tests make of a terminal's screen."""

import re
import xml.etree.ElementTree as ET

from tests.screens import shown

SVG = "{http://www.w3.org/2000/svg}"


def test_picture_has_each_word_in_its_place() -> None:
    screen = shown("two  words\n\x1b[31mfailed:\x1b[0m no <b>\n\x1b[7m sel \x1b[0m \x1b[2mdim\x1b[0m", 20, 5)
    root = ET.fromstring(screen.picture())
    words = [(text.text, float(text.attrib["x"]), text.attrib["fill"]) for text in root.iter(f"{SVG}text")]
    left, ink, cell = words[0][1], words[0][2], (words[1][1] - words[0][1]) / 5
    assert [(word, round((x - left) / cell)) for word, x, _ in words] == [
        *(("two", 0), ("words", 5), ("failed:", 0), ("no", 8), ("<b>", 11), ("sel", 1), ("dim", 6)),
    ]
    fills = [fill for _, _, fill in words]
    assert fills[0] == fills[1] == fills[3] == ink
    assert len({ink, fills[2], fills[5], fills[6]}) == 4
    # Three rectangles on the third line: the selected word and the blanks around it.
    assert len(list(root.iter(f"{SVG}rect"))) == 1 + 3
    assert re.search(r'viewBox="0 0 192 78"', screen.picture())
