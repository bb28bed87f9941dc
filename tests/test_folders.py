"""folders.py: which hands a training learns from, and that no writer is learned from and measured on."""

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_hands import install, list_fonts, picture, semeion_lines, write_semeion, write_strokes, write_swiss, write_uji

from vinscribe.charset import CHARSET
from vinscribe.errors import DataError
from vinscribe.training import unipen
from vinscribe.training.folders import HandFolders
from vinscribe.training.unipen import part_of, read_strokes

FONTS = ("a", "b", "c", "d", "e", "f")
FIELDS = {f"{part}_{kind}" for part in ("train", "validation") for kind in ("strokes", "fonts", "inked", "pictures")}


def write_fonts(folder: Path) -> Path:
    folder.mkdir()
    for name in FONTS:
        install(folder, name)
    list_fonts(folder, *FONTS)
    (folder / "package-lock.json").write_text(json.dumps({"packages": {}}))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> HandFolders:
    digits = tmp_path / "digits"
    digits.mkdir()
    write_swiss(digits)
    write_semeion(digits)
    write_uji(digits)
    unipen = write_strokes(tmp_path / "unipen", [f"p{number:02d}" for number in range(60)], CHARSET)
    return HandFolders(unipen, digits, write_fonts(tmp_path / "fonts"))


def writers(characters) -> set[str]:
    return set(characters.writers.tolist())


def test_no_writer_is_in_two_parts(folders: HandFolders) -> None:
    fields = folders.read()
    assert set(fields) == FIELDS
    for kind in ("strokes", "fonts", "inked", "pictures"):
        train, validation = (fields[f"{part}_{kind}"] for part in ("train", "validation"))
        assert len(train) > 0 < len(validation)
        assert not writers(train) & writers(validation)
    for part in ("train", "validation"):
        strokes, pictures = fields[f"{part}_strokes"], fields[f"{part}_pictures"]
        assert {part_of(writer) for writer in writers(strokes)} == {part}
        assert {writer[0] for writer in writers(strokes)} == {"p", "u"}  # UNIPEN's and the Spanish
        assert len(strokes.strokes) == len(strokes.labels) == len(strokes.writers)
        assert {writer.startswith("group") for writer in writers(pictures)} == {True, False}
        assert pictures.images.shape == (len(pictures.labels), 56, 56)
        fonts, inked = fields[f"{part}_fonts"], fields[f"{part}_inked"]
        assert writers(fonts) == writers(inked) == {name for name in FONTS if part_of(name) == part}


def test_writers_to_measure_on_are_not_learned_from(folders: HandFolders) -> None:
    fields = folders.read()
    test = {f"{kind}{number:02d}" for kind, count in (("p", 60), ("u", 40)) for number in range(count)}
    test = {writer for writer in test if part_of(writer) == "test"} | {"group0-0"}
    assert len(test) > 5
    assert not any(writers(characters) & test for characters in fields.values())
    assert len(fields["train_strokes"]) + len(fields["validation_strokes"]) == 100 - len(test) + 1


def test_strokes_that_do_not_show_their_label_are_left_out(
    folders: HandFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strokes = read_strokes(folders.unipen)
    rows = [row for row, writer in enumerate(strokes.writers.tolist()) if part_of(writer) == "train"][:3]
    with (tmp_path / "verdicts.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["strokes", "label", "verdict"])
        for row, verdict in zip(rows, ("fragment", "ambiguous", "other"), strict=True):
            table.writerow([unipen._digest(strokes.strokes[row]), CHARSET[strokes.labels[row]], verdict])
    before = writers(folders.read()["train_strokes"])
    monkeypatch.setattr(unipen, "VERDICTS_FILE", tmp_path / "verdicts.csv")
    after = writers(folders.read()["train_strokes"])
    assert before - after == {strokes.writers[rows[0]], strokes.writers[rows[2]]}  # the ambiguous one stays


def test_without_folders_there_is_nothing() -> None:
    assert HandFolders().read() == dict.fromkeys(FIELDS)
    assert HandFolders().hashes() == {}


def test_each_folder_gives_its_own(folders: HandFolders) -> None:
    nothing = dict.fromkeys(FIELDS)
    for name, kinds in (("unipen", {"strokes"}), ("digits", {"strokes", "pictures"}), ("fonts", {"fonts", "inked"})):
        one = HandFolders(**{name: getattr(folders, name)})
        found = one.read()
        assert {field.split("_")[1] for field, characters in found.items() if characters is not None} == kinds
        assert set(found) == set(nothing)
        assert set(one.hashes()) < set(folders.hashes())


def test_digits_of_which_only_some_are_there(tmp_path: Path) -> None:
    write_semeion(tmp_path)
    fields = HandFolders(digits=tmp_path).read()
    assert fields["train_strokes"] is fields["validation_strokes"] is None
    assert writers(fields["train_pictures"]) == {"group2-0"}
    assert writers(fields["validation_pictures"]) == {"group1-0"}


def test_a_hash_changes_with_its_file_and_no_other_does(folders: HandFolders) -> None:
    before = folders.hashes()
    assert set(before) == {"unipen/strokes.jsonl.gz", "unipen/labels.csv", "digits", "fonts/package-lock.json"}
    assert all(len(digest) == 64 for digest in before.values())
    assert folders.hashes() == before
    assert folders.unipen
    assert folders.digits
    assert folders.fonts
    labels = folders.unipen / "labels.csv"
    labels.write_text(labels.read_text().replace("0,0,p00", "0,1,p00", 1))
    lock = folders.fonts / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    changed = folders.hashes()
    assert {name for name in before if changed[name] != before[name]} == {
        "unipen/labels.csv",
        "fonts/package-lock.json",
    }
    seen = {before["digits"]}
    lines = semeion_lines()
    lines[3] = lines[3].replace("0.0000", "1.0000", 1)
    write_semeion(folders.digits, lines)
    seen.add(folders.hashes()["digits"])
    with zipfile.ZipFile(folders.digits / "swiss_digits" / "digits.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["0003_1.png"] = cv2.imencode(".png", np.flipud(picture(5)))[1].tobytes()
    with zipfile.ZipFile(folders.digits / "swiss_digits" / "digits.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    seen.add(folders.hashes()["digits"])
    assert len(seen) == 3


@pytest.mark.parametrize("name", ["unipen", "digits", "fonts"])
def test_a_folder_that_is_not_there(name: str, folders: HandFolders, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        replace(folders, **{name: tmp_path / "nowhere"}).read()
