"""Recordings of terminals are pictures that run nothing and fetch nothing."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from tools.recording_svg import Frame, svg
from tools.recording_terminal import Run

KEPT = Path(__file__).parents[2] / "docs" / "recordings"


def test_a_recording_is_escaped_and_shows_one_frame_at_a_time():
    line = (Run("<b>&\"'", 0, "red", "008000", bold=True),)
    frames = [Frame((line,), (1, 0), "a & b", 1.0), Frame((line, ()), None, "c", 3.0)]
    document = svg(frames, (10, 2))
    root = ET.fromstring(document)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["<b>&\"'", "a & b", "c"]  # a line of two frames is written once
    assert "25.0000%" in document


def test_what_is_kept_is_small_and_needs_nothing_from_elsewhere():
    kept = list(KEPT.glob("*.svg"))
    assert kept
    for path in kept:
        document = path.read_text()
        assert len(document.encode()) < 500_000
        ET.fromstring(document)
        assert not re.search(r"<script|<foreignObject|@import|url\(|\son\w+=", document)
        assert set(re.findall(r"https?://[^\"' ]+", document)) <= {"http://www.w3.org/2000/svg"}
        assert "prefers-reduced-motion" in document
