"""Folders, lists and pixels that could be read in another way than they are meant: read right, or said, or refused."""

import logging
import struct

import cv2
import numpy as np
import pytest

from taurank.trainables.data import DataError, decode_image, load_dataset, make_splits


def write(path, value, *, shape=(8, 8, 3), dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(shape, value, dtype))


@pytest.fixture
def folder(tmp_path):
    """Makes images: `folder("Train/cat", 2)` writes two, all images of all calls differ."""
    grey = iter(range(256))

    def make(name, count=2):
        for number in range(count):
            write(tmp_path / "photos" / name / f"{number}.png", next(grey))
        return tmp_path / "photos"

    return make


@pytest.fixture
def load(tmp_path, caplog):
    """Loads a folder or list, and returns the data set and the lines that were said."""

    def read(path, kind="folder", size=8):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = load_dataset(f"{kind}:{path}", size=size, cache=tmp_path / "cache")
        return found, [record.getMessage().removeprefix(f"{kind}:{path}: ") for record in caplog.records]

    return read


def refused(load, path):
    with pytest.raises(DataError) as caught:
        load(path)
    return str(caught.value).removeprefix(f"folder:{path}: ")


def sizes(found):
    return [0 if part is None else len(part) for part in (found.train, found.validation, found.test)]


# --- parts

DEV_IS_TEST = ["dev is the test set, as there is no other; validation images are cut from train"]
OFFICIAL = ["the validation images are those of Dev, none are cut from Training"]


@pytest.mark.parametrize(
    ("parts", "expected", "said"),
    [
        (("Train", "Test"), [4, 0, 4], []),
        (("training", "testing"), [4, 0, 4], []),
        (("TRAIN ", "TEST"), [4, 0, 4], []),
        (("train", "dev"), [4, 0, 4], DEV_IS_TEST),
        (("train", "val", "test"), [4, 4, 4], ["the validation images are those of val, none are cut from train"]),
        (("Training", "Dev", "Test"), [4, 4, 4], OFFICIAL),
        (("train",), [4, 0, 0], []),
    ],
)  # fmt: skip
def test_parts_are_known_by_their_names(folder, load, parts, expected, said):
    for part in parts:
        for name in ("cat", "dog"):
            root = folder(f"{part}/{name}")
    found, lines = load(root)
    assert found.classes == ("cat", "dog")
    assert sizes(found) == expected
    assert lines == said


def test_an_official_validation_set_is_what_a_ranking_looks_at(folder, load):
    for name in ("train/cat", "train/dog", "valid/cat", "valid/dog", "test/cat", "test/dog"):
        root = folder(name, 3)
    found, _ = load(root)
    cut = make_splits(found, seed=0, validation=0.5, test=None)
    assert [len(part) for part in (cut.train, cut.validation, cut.test)] == [6, 6, 6]
    np.testing.assert_array_equal(cut.validation.images, found.validation.images)
    assert cut.validation.images[:, 0, 0, 0].tolist() == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train/cat", "train/dog", "val/cat", "valid/cat"), "both 'val' and 'valid' can be read as the validation"),
        (("train/cat", "train/dog", "Train/cat", "test/cat"), "both 'Train' and 'train' can be read as the train"),
        (("train", "test"), "test, train can be read as parts of the set, or as classes. As parts they have to"),
        (("train", "test", "bus"), "test, train can be read as parts of the set, or as classes beside bus"),
        (("train/steam", "train/diesel", "bus"), "train can be read as parts of the set, or as classes beside bus"),
        (("val/cat", "val/dog", "test/cat", "test/dog"), "test, val can be read as parts of the set, or as classes"),
        (("train_set/cat", "train_set/dog", "test_set/cat"), "test_set, train_set can be read as parts of the set"),
        (("cat", "dog", "masks"), "masks can be read as a class, or as annotations of the other images"),
        (("train/cat", "train/dog", "train/Labels", "test/cat"), "train/Labels can be read as a class, or as"),
        (("photos/cat", "photos/dog"), "If the classes are cat, dog, give the folder photos instead"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_both(folder, load, names, said):
    for name in names:
        root = folder(name)
    assert said in refused(load, root)


def test_classes_whose_names_resemble_parts_stay_classes(folder, load):
    for name in ("train station/outside", "test tube", "control"):
        root = folder(name)
    assert load(root)[0].classes == ("control", "test tube", "train station")


def test_what_is_no_part_is_left_out_by_name(folder, load):
    for name in ("train/cat", "train/dog", "test/cat", "masks/cat", "__MACOSX/train/cat", ".old/cat", "train/dog/.tmp"):
        root = folder(name)
    found, (line,) = load(root)
    assert (found.classes, sizes(found)) == (("cat", "dog"), [4, 0, 2])
    assert line == (
        "4 folders are left out: .old (hidden), __MACOSX (made by the system), masks (not a part of the set), "
        "train/dog/.tmp (hidden)"
    )


def test_folders_of_systems_and_empty_annotations_are_no_classes(folder, load):
    for name in ("cat", "dog", "__MACOSX", "dog/@eaDir"):
        root = folder(name)
    (root / "annotations").mkdir()
    (root / "annotations" / "0.xml").write_text("")
    found, (line,) = load(root)
    assert found.classes == ("cat", "dog")
    assert line == (
        "3 folders are left out: __MACOSX (made by the system), annotations (no images in it), "
        "dog/@eaDir (made by the system)"
    )


def test_a_test_folder_without_labels_is_left_out(folder, load):
    for name in ("train/cat", "train/dog", "test"):
        root = folder(name)
    found, lines = load(root)
    assert sizes(found) == [4, 0, 0]
    assert lines == ["1 folder is left out: test (its images are in no class folders)"]


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("Train", "TEST"), [4, 0, 2]),
        (("training", "dev"), [4, 0, 2]),
        (("train", "Validation", "testing"), [4, 2, 2]),
    ],
)
def test_a_list_may_spell_parts_in_other_ways(folder, load, tmp_path, splits, expected):
    lines = ["File, Label ,Split"]
    for split, count in zip(splits, (4, 2, 2), strict=False):
        folder(f"{split}", count)
        lines += [f"photos/{split}/{number}.png,{number % 2:04},{split}" for number in range(count)]
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    found, _ = load(tmp_path / "list.csv")
    assert (found.classes, sizes(found)) == (("0000", "0001"), expected)


# --- links


def test_linked_folders_are_read_once_and_loops_end(folder, load, tmp_path):
    root = folder("cat")
    folder("dog")
    write(tmp_path / "more" / "x.png", 99)
    (root / "dog" / "extra").symlink_to(tmp_path / "more")
    (root / "dog" / "again").symlink_to(tmp_path / "more")
    (root / "cat" / "loop").symlink_to(root)
    (root / "cat" / "dogs").symlink_to(root / "dog")
    (root / "gone").symlink_to(tmp_path / "nothing")
    found, (line,) = load(root)
    assert found.train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 99]
    assert found.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert "gone (a link to nothing)" in line
    assert "cat/dogs (leads to dog, which is read already)" in line
    assert "dog/extra (leads to dog/again, which is read already)" in line
    assert "cat/loop (leads to the folder of the set, which is read already)" in line


def test_a_class_that_links_to_another_class_is_refused(folder, load):
    root = folder("cat")
    folder("dog")
    (root / "kitty").symlink_to(root / "cat")
    assert refused(load, root) == "cat and kitty are one folder; remove the link"


def test_linked_parts_and_files_are_read(folder, load, tmp_path):
    for name in ("cat", "dog"):
        whole = folder(name)
    root = tmp_path / "linked"
    root.mkdir()
    (root / "train").symlink_to(whole)
    write(root / "test" / "cat" / "own.png", 77)
    (root / "test" / "cat" / "0.png").symlink_to(whole / "cat" / "0.png")
    found, (line,) = load(root)
    assert sizes(found) == [4, 0, 2]
    assert line.startswith("1 test image repeats an image that is trained on, pixel by pixel (1 of 2): ")


# --- equal images


def test_equal_images_are_counted(folder, load):
    for name in ("train/cat", "train/dog", "val/cat", "test/cat"):
        root = folder(name)
    for copy in ("train/cat/copy.bmp", "val/cat/copy.png", "test/cat/copy.png", "test/cat/other.bmp"):
        write(root / copy, 0)  # the first image of all
    write(root / "test" / "cat" / "val.png", 4)
    _, lines = load(root)
    assert lines[1:] == [
        "1 training image repeats another one of them, pixel by pixel; what is cut from them for validation or test "
        "may be trained on, too",
        "1 validation image repeats an image that is trained on, pixel by pixel (1 of 3): remove them from one of the "
        "two",
        "2 test images repeat an image that is trained on, pixel by pixel (2 of 5): remove them from one of the two",
        "3 test images repeat a validation image, pixel by pixel",
    ]
    assert load(root)[1] == lines  # from the cache, too


def test_the_same_file_in_both_parts_of_a_list_is_counted(folder, load, tmp_path):
    folder("all", 3)
    rows = "photos/all/0.png,a,train\nphotos/all/1.png,b,train\n./photos/all/0.png,a,test\nphotos/all/2.png,a,test\n"
    (tmp_path / "list.csv").write_text("file,label,split\n" + rows)
    _, (line,) = load(tmp_path / "list.csv")
    assert "1 test image repeats an image that is trained on" in line


def test_a_set_of_equal_images_is_said(load, tmp_path):
    for name in ("cat/0.png", "cat/1.png", "dog/0.png"):
        write(tmp_path / "photos" / name, 50)
    assert load(tmp_path / "photos")[1] == ["all 3 images are alike, pixel by pixel: classes cannot be distinguished"]
    images = np.arange(4 * 36, dtype=np.uint8).reshape(4, 6, 6)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=[0, 1, 0, 1], x_test=images[:1], y_test=[0])
    assert "1 test image repeats an image that is trained on" in load(tmp_path / "a.npz", kind="npz")[1][0]


def test_classes_too_small_to_be_cut_are_named(folder, load, caplog):
    folder("cat", 8)
    folder("cow", 1)
    found, _ = load(folder("dog", 8))
    with caplog.at_level(logging.WARNING):
        make_splits(found, seed=0, validation=0.3, test=0.3)
    (record,) = caplog.records
    assert "classes with fewer images than the 3 parts cut from them: cow (1" in record.getMessage()


# --- pixels

RAMP = np.arange(16).reshape(4, 4)


def ascii_values(values):
    return " ".join(map(str, values.ravel())).encode()


def pam(maxval, values):
    return b"P7\nWIDTH 4\nHEIGHT 4\nDEPTH 1\nMAXVAL %d\nTUPLTYPE GRAYSCALE\nENDHDR\n" % maxval + values


@pytest.mark.parametrize(
    "encoded",
    [
        b"P5 4 4 15\n" + bytes(range(16)),
        b"P5\n# 9 9 9\n4 4\n# maxval\n15\n" + bytes(range(16)),
        b"P2 4 4 15\n" + ascii_values(RAMP),
        b"P3 4 4 15\n" + ascii_values(RAMP.repeat(3)),
        b"P6 4 4 15\n" + RAMP.repeat(3).astype(np.uint8).tobytes(),
        b"P5 4 4 255\n" + (RAMP * 17).astype(np.uint8).tobytes(),
        b"P5 4 4 4095\n" + (RAMP * 273).astype(">u2").tobytes(),
        b"P6 4 4 4095\n" + (RAMP * 273).repeat(3).astype(">u2").tobytes(),
        b"P5 4 4 65535\n" + (RAMP * 4369).astype(">u2").tobytes(),
        pam(15, bytes(range(16))),
    ],
)
def test_values_of_pnm_are_scaled_by_their_maximum(encoded):
    for channels in (1, 3):
        expected = (RAMP * 17)[..., None].repeat(channels, 2)
        np.testing.assert_array_equal(decode_image(encoded, 4, channels)[0], expected)


@pytest.mark.parametrize("encoded", [b"P4 8 1\n\xaa", b"P1 8 1\n1 0 1 0 1 0 1 0"])
def test_a_bitmap_is_black_and_white(encoded, load, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "bits" / name).mkdir(parents=True)
        (tmp_path / "bits" / name / "a.pbm").write_bytes(encoded)
    found, _ = load(tmp_path / "bits", size=1)
    assert set(found.train.images.ravel()) <= {0, 255}


def deep(path, values, ending=".png"):
    path.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path / f"deep{ending}"), values.astype(np.uint16))


@pytest.mark.parametrize("ending", [".png", ".tiff", ".pgm"])
def test_a_small_range_of_sixteen_bits_is_scaled_by_the_set(load, tmp_path, ending):
    deep(tmp_path / "x" / "cat", RAMP * 273, ending)  # 12 bits
    deep(tmp_path / "x" / "dog", np.flipud(RAMP) * 100, ending)
    found, (line,) = load(tmp_path / "x", size=4)
    assert line == "2 images have 16 bits; range used 0..4095, scaled from 0..4095 to 0..255"
    np.testing.assert_array_equal(found.train.images[0, ..., 0], RAMP * 17)
    np.testing.assert_array_equal(found.train.images[1, ..., 1], np.rint(np.flipud(RAMP) * 100 * 255 / 4095))
    again, lines = load(tmp_path / "x", size=4)
    assert lines == [line]
    np.testing.assert_array_equal(again.train.images, found.train.images)


def test_an_offset_of_sixteen_bits_is_taken_off_and_broken_files_keep_the_rows(load, tmp_path):
    write(tmp_path / "x" / "ant" / "0.png", 7, shape=(4, 4, 3))
    (tmp_path / "x" / "ant" / "1.png").write_bytes(b"broken")
    deep(tmp_path / "x" / "cat", 30000 + RAMP * 10)
    deep(tmp_path / "x" / "dog", 30000 + RAMP * 5)
    found, lines = load(tmp_path / "x", size=4)
    assert lines[1] == "2 images have 16 bits; range used 30000..30150, scaled from 30000..30150 to 0..255"
    assert (found.train.images[0] == 7).all()
    np.testing.assert_array_equal(found.train.images[1, ..., 0], RAMP * 17)


def test_the_whole_range_of_sixteen_bits_is_kept_and_said(load, tmp_path):
    deep(tmp_path / "x" / "cat", RAMP * 4369)
    deep(tmp_path / "x" / "dog", RAMP * 1000)
    found, lines = load(tmp_path / "x", size=4)
    assert lines == ["2 images have 16 bits; range used 0..65535, scaled from 0..65535 to 0..255"]
    np.testing.assert_array_equal(found.train.images[0, ..., 0], RAMP * 17)


def test_floating_point_pixels_are_left_out_by_name(load, tmp_path, folder):
    root = folder("cat")
    folder("dog")
    assert cv2.imwrite(str(root / "cat" / "float.tiff"), (RAMP / 16).astype(np.float32))
    assert "1 of 5 images are left out: cat/float.tiff" in load(root)[1][0]


def test_a_header_that_lies_is_no_crash():
    for maximum in (b"0", b"70000", b"99999999999999999999"):
        try:
            found = decode_image(b"P5 4 4 " + maximum + b"\n" + struct.pack("16H", *range(16)), 4, 1)[0]
        except DataError:
            continue
        assert found.shape == (4, 4, 1)
