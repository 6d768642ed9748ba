"""Who made which file of a package."""

from __future__ import annotations

import pytest

from datamodules.sources.debian_copyright import FileCopyright, copyright_of

RECORD = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2010, The team
License: LGPL-2.1+

Files: nature/Aqua.jpg
       nature/Sea*.jpg
Copyright: 2008, Ann B. <ann@example.org>
           2009, Bob
License: CC-BY-SA-4.0
 THE WORK IS PROVIDED
 .
 as it is
Comment: from AUTHORS

Files: graphics/*
Copyright: 2012, Eve
License: GPL-2+

License: LGPL-2.1+
 long text
"""
ANN = FileCopyright("CC-BY-SA-4.0", ("2008, Ann B.", "2009, Bob"))
TEAM = FileCopyright("LGPL-2.1+", ("2010, The team",))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("usr/share/backgrounds/nature/Aqua.jpg", ANN),
        ("usr/share/backgrounds/nature/Seaside.jpg", ANN),
        ("usr/share/backgrounds/nature/aqua.jpg", TEAM),
        ("usr/share/graphics/a.png", TEAM),  # folders of the source are not those of the package
    ],
)
def test_a_file_has_the_licence_and_holders_of_its_paragraph(name: str, found: FileCopyright) -> None:
    assert copyright_of(RECORD, name) == found


@pytest.mark.parametrize("record", ["", "This package was debianised by hand.\n\nCopyright: someone\n"])
def test_a_record_in_another_format_states_nothing(record: str) -> None:
    assert copyright_of(record, "a.jpg") == FileCopyright("not stated", ())
