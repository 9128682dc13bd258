"""The user's own images: folders, ImageNet's layout, CSV lists, archives; decoded once, hostile files named."""

import json
import logging
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from taurank.trainables.data import DataError, load_dataset, make_splits
from taurank.trainables.data import decoded_cache as caching
from taurank.trainables.data.decoded_cache import decode_files
from taurank.trainables.data.image_size import MOST_PIXELS, read_image_size
from taurank.trainables.data.mapped import MappedImages


def write(path, value, *, shape=(12, 12, 3), dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(shape, value, dtype))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path):
    """Two classes; image i of the first is grey i, of the second 100 + i."""
    root = tmp_path / "photos"
    for first, name in ((0, "ant"), (100, "bee")):
        for number in range(4):
            write(root / name / f"{number}.png", first + number)
    return root


def load(path, cache, *, kind="folder", **settings):
    return load_dataset(f"{kind}:{path}", size=8, cache=cache, **settings)


def refused(path, cache, kind="folder"):
    with pytest.raises(DataError) as excinfo:
        load(path, cache, kind=kind)
    message = str(excinfo.value)
    assert "\n" not in message
    assert message.startswith(f"{kind}:{path}: ")
    return message


def warned(caplog):
    return [record.getMessage() for record in caplog.records]


# --- layouts


def test_class_folders(photos, cache):
    found = load(photos, cache)
    assert found.classes == ("ant", "bee")
    assert found.train.images.shape == (8, 8, 8, 3)
    assert found.train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 100, 101, 102, 103]
    assert found.train.labels.tolist() == [0] * 4 + [1] * 4
    assert found.test is None


@pytest.mark.parametrize("held_out", ["test", "val", "valid", "validation"])
def test_folders_of_parts_give_an_official_test_set(photos, cache, held_out, tmp_path):
    root = tmp_path / "parts"
    root.mkdir()
    photos.rename(root / "train")
    write(root / held_out / "bee" / "z.png", 200)
    found = load(root, cache)
    assert len(found.train) == 8
    assert found.test.images[:, 0, 0, 0].tolist() == [200]
    assert found.test.labels.tolist() == [1]


def test_a_class_may_be_called_train(photos, cache):
    (photos / "ant").rename(photos / "train")
    assert load(photos, cache).classes == ("bee", "train")


def test_files_deeper_down_belong_to_their_class_and_hidden_ones_to_none(photos, cache):
    write(photos / "ant" / "more" / "x.JPG", 50)
    write(photos / "ant" / ".thumbs" / "x.png", 0)
    write(photos / "ant" / "._0.png", 0)
    write(photos / ".git" / "x.png", 0)
    assert np.bincount(load(photos, cache).train.labels).tolist() == [5, 4]


def test_imagenet_has_its_val_folder_as_test_set(tmp_path, cache):
    for part, count in (("train", 3), ("val", 1)):
        for synset in ("n01440764", "n02102040"):
            for number in range(count):
                write(tmp_path / part / synset / f"{synset}_{number}.JPEG", 90)
    found = load(tmp_path, cache, kind="imagenet")
    assert (len(found.train), len(found.test)) == (6, 2)
    assert found.classes == ("n01440764", "n02102040")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (["train/n01440764/a.png"], "has no folder val; ImageNet comes as train/ and val/"),
        (["train/n01440764/a.png", "val/ILSVRC2012_val_1.png"], "val has images but no synset folders; sort them"),
        (["train/dog/a.png", "val/dog/a.png"], r"train/dog is no synset .*; for other classes write folder:PATH"),
    ],
)
def test_another_layout_is_no_imagenet(tmp_path, cache, made, said):
    for name in made:
        write(tmp_path / name, 0)
    with pytest.raises(DataError, match=said):
        load(tmp_path, cache, kind="imagenet")


def test_a_csv_names_files_relative_to_itself(photos, cache, tmp_path):
    (tmp_path / "list.csv").write_text(
        "﻿file,label,split\nphotos/bee/3.png,big,train\nphotos/ant/0.png,small,\nphotos/ant/1.png,small,test\n"
    )
    found = load(tmp_path / "list.csv", cache)
    assert found.classes == ("big", "small")
    assert found.train.images[:, 0, 0, 0].tolist() == [103, 0]
    assert found.train.labels.tolist() == [0, 1]
    assert found.test.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rows"),
        ("file,label\n", "has no rows"),
        ("path,class\na,b\n", "needs the columns file and label, has path, class"),
        ("file,label\na.png\n", "line 2 does not have one value for each column"),
        ("file,label\na.png,x,y\n", "line 2 does not have one value for each column"),
        ("file,label\na.png, \n", "line 2 does not have one value for each column"),
        ("file,label,split\na.png,x,fold1\n", "line 2: split is 'fold1'; it has to be one of train, training, val, "),
        (
            "file,label,split\na.png,x,train\nb.png,y,train\nc.png,x,val\nd.png,y,valid\n",
            "both 'val' and 'valid' can be read as the validation images",
        ),
        ("file,label\na.png,x\na.png,y\n", "a.png listed twice"),
        ("file,label\na.png,x\nb.png,x\n", "has 1 classes to train on"),
        ("file,label\na.png,Dog\nb.png,dog\n", "the classes 'Dog' and 'dog' are one name"),
        ("file,label,split\na.png,x,train\nb.png,y,train\nc.png,z,test\n", "the class 'z' is in the test part only"),
        ('file,label\n"a.png,x\n', "cannot be read as a CSV"),
    ],
)
def test_a_csv_that_is_none_of_files_and_labels(tmp_path, cache, text, said):
    (tmp_path / "list.csv").write_text(text)
    assert said in refused(tmp_path / "list.csv", cache)


def test_a_csv_in_another_encoding_is_refused(tmp_path, cache):
    (tmp_path / "list.csv").write_bytes(b"file,label\n\xff.png,x\n")
    assert "cannot be read as a CSV in UTF-8" in refused(tmp_path / "list.csv", cache)


# --- folders that are none of classes


def test_a_path_that_is_not_there(tmp_path, cache):
    assert f"there is no {tmp_path / 'gone'}" in refused(tmp_path / "gone", cache)


def test_a_file_that_is_no_list(photos, cache):
    assert "give a folder with one subfolder a class, or a .csv" in refused(photos / "ant" / "0.png", cache)


def test_images_without_class_folders(tmp_path, cache):
    write(tmp_path / "all" / "a.png", 0)
    assert "has images but no class folders" in refused(tmp_path / "all", cache)


def test_no_class_and_one_class(tmp_path, cache):
    (tmp_path / "all").mkdir()
    assert "has 0 class folders; telling apart takes at least 2" in refused(tmp_path / "all", cache)
    write(tmp_path / "all" / "cat" / "a.png", 0)
    assert "has 1 class folders (cat)" in refused(tmp_path / "all", cache)


def test_an_empty_class_is_named(photos, cache):
    (photos / "cow").mkdir()
    (photos / "dog").mkdir()
    (photos / "dog" / "list.txt").write_text("no image")
    assert "no images in cow, dog; add some, or remove the folder" in refused(photos, cache)


@pytest.mark.parametrize("twin", ["Ant", "ANT ", "\uff41\uff4e\uff54"])
def test_classes_that_differ_in_writing_only(photos, cache, twin):
    write(photos / twin / "0.png", 0)
    assert "are one name; join them, or rename one" in refused(photos, cache)


def test_a_test_class_that_is_never_trained_on(photos, cache, tmp_path):
    root = tmp_path / "parts"
    root.mkdir()
    photos.rename(root / "train")
    write(root / "test" / "cow" / "0.png", 0)
    assert "test has the class 'cow', which train lacks" in refused(root, cache)


def test_names_without_a_path_and_unknown_kinds():
    with pytest.raises(DataError, match="'folder:' has no path; write folder:PATH"):
        load_dataset("folder:")
    with pytest.raises(DataError, match="unknown data set 'folders:x'"):
        load_dataset("folders:x")


def test_a_path_without_its_kind_has_a_hint(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    for name, kind in (("labels.csv", "folder"), ("x.npz", "npz"), ("x.pack", "packed")):
        Path(name).touch()
        with pytest.raises(DataError, match=f"did you mean '{kind}:{name}'"):
            load_dataset(name)
    with pytest.raises(DataError, match=f"did you mean 'folder:{photos.name}'"):
        load_dataset(photos.name)


# --- files


def test_other_files_are_counted_and_broken_ones_named(photos, cache, caplog):
    (photos / "ant" / "notes.txt").write_text("x")
    (photos / "ant" / "Thumbs.db").write_text("x")
    (photos / "ant" / "1.png").write_bytes(b"no image")
    whole = (photos / "bee" / "2.png").read_bytes()
    (photos / "bee" / "2.png").write_bytes(whole[:-20])
    with caplog.at_level(logging.WARNING):
        found = load(photos, cache)
    assert found.train.images[:, 0, 0, 0].tolist() == [0, 2, 3, 100, 101, 103]
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    ignored, left_out = warned(caplog)
    assert ignored == f"folder:{photos}: skipped 2 files that are not images"
    assert left_out.startswith(f"folder:{photos}: 2 of 8 images are left out: ant/1.png: ")
    assert "; bee/2.png: " in left_out
    caplog.clear()
    with caplog.at_level(logging.WARNING):  # from the cache: the same is said
        assert len(load(photos, cache).train) == 6
    assert warned(caplog) == [ignored, left_out]


def test_many_broken_files_are_named_in_part(photos, cache, caplog):
    for number in range(9):
        (photos / "ant" / f"x{number}.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        load(photos, cache)
    (line,) = warned(caplog)
    assert "9 of 17 images are left out" in line
    assert line.endswith("; and 4 more")
    assert line.count(".png") == 5


def test_a_class_of_broken_files_is_refused(photos, cache):
    for file in (photos / "ant").iterdir():
        file.write_bytes(b"")
    message = refused(photos, cache)
    assert "no image of the class 'ant' can be decoded; ant/0.png: " in message


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def test_a_picture_bomb_is_left_out_before_it_is_decoded(photos, cache, caplog):
    (photos / "ant" / "bomb.png").write_bytes(png_header(60_000, 60_000))
    with caplog.at_level(logging.WARNING):
        assert len(load(photos, cache).train) == 8
    assert f"60000 x 60000 pixels; {MOST_PIXELS} are the most" in warned(caplog)[0]


def test_listed_names_that_are_no_regular_files(photos, cache, tmp_path, caplog):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    names = ["photos/ant/0.png", "pipe.png", "folder.png", "gone.png", "/dev/zero", "a\0b.png"]
    (tmp_path / "list.csv").write_text(
        "file,label\n" + "".join(f"{name},a\n" for name in names[:5]) + "photos/bee/0.png,b\n"
    )
    with caplog.at_level(logging.WARNING):
        assert len(load(tmp_path / "list.csv", cache).train) == 2
    assert "4 of 6 images are left out" in warned(caplog)[0]
    assert "gone.png: cannot be read (No such file or directory)" in warned(caplog)[0]
    left_out = decode_files(tmp_path, names[5:], size=8, cache=cache).left_out
    assert list(left_out) == [0]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("grey.png", np.full((9, 9), 70, np.uint8)),
        ("grey.jpg", np.full((9, 9), 70, np.uint8)),
        ("alpha.png", np.dstack([np.full((9, 9, 3), 70, np.uint8), np.zeros((9, 9), np.uint8)])),
        ("deep.png", np.full((9, 9, 3), 70 * 257, np.uint16)),
        ("deep.tiff", np.full((9, 9), 70 * 257, np.uint16)),
        ("map.bmp", np.full((9, 9, 3), 70, np.uint8)),
        ("lossless.webp", np.full((9, 9, 3), 70, np.uint8)),
    ],
)
def test_every_kind_of_picture_becomes_eight_bit_colours(photos, cache, name, image):
    assert cv2.imwrite(str(photos / "ant" / name), image)
    found = load(photos, cache)
    place = sorted([*(f"{number}.png" for number in range(4)), name]).index(name)
    assert np.abs(found.train.images[place].astype(int) - 70).max() <= 1


def test_the_short_side_is_fitted_and_the_middle_kept(photos, cache):
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = (10, 20, 30)  # blue, green, red, as OpenCV has them
    for name, image in (("wide.png", wide), ("tall.png", wide.transpose(1, 0, 2))):
        cv2.imwrite(str(photos / "ant" / name), image)
    images = load(photos, cache).train.images
    for place in (4, 5):
        assert (images[place] == (30, 20, 10)).all()


def test_a_large_photograph_is_shrunk_like_a_small_one(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    large = cv2.resize(cv2.GaussianBlur(noise, (9, 9), 4), (1024, 1024), interpolation=cv2.INTER_CUBIC)
    for name, options in (("a.jpg", [cv2.IMWRITE_JPEG_QUALITY, 98]), ("a.png", [])):
        cv2.imwrite(str(tmp_path / name), large, options)
    found = decode_files(tmp_path, ["a.jpg", "a.png"], size=32, cache=tmp_path / "cache").images.astype(int)
    assert np.abs(found[0] - found[1]).mean() < 1.0


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_the_size_is_read_from_the_header(ending):
    encoded = cv2.imencode(ending, np.zeros((5, 9, 3), np.uint8))[1].tobytes()
    assert read_image_size(encoded) == (5, 9)
    assert read_image_size(encoded[:4]) is None


def test_no_header_is_no_size():
    assert read_image_size(b"") is None
    assert read_image_size(b"\xff\xd8" + b"\xff" * 50) is None
    assert read_image_size(b"GIF") is None


# --- the cache


def entries(cache):
    return sorted(path.suffix for path in cache.iterdir())


def test_images_are_decoded_once(photos, cache, monkeypatch):
    told = []
    first = load(photos, cache, progress=lambda done, count: told.append((done, count)))
    assert told == [(8, 8)]
    assert entries(cache) == [".json", ".npy"]
    monkeypatch.setattr(caching, "decode_image", None)  # would raise if it were called
    again = load(photos, cache, progress=lambda done, count: told.append((done, count)))
    assert told == [(8, 8)]
    np.testing.assert_array_equal(first.train.images, again.train.images)


def test_progress_reaches_the_end_in_steps(tmp_path, cache):
    root = tmp_path / "many"
    for number in range(150):
        write(root / f"class{number % 2}" / f"{number:03}.png", number, shape=(8, 8, 3))
    told = []
    found = load(root, cache, progress=lambda done, count: told.append(done))
    assert told == [64, 128, 150]
    order = [*range(0, 150, 2), *range(1, 150, 2)]
    assert found.train.images[:, 0, 0, 0].tolist() == order


@pytest.mark.parametrize("change", ["content", "more", "less", "size"])
def test_what_changes_is_decoded_again(photos, cache, change):
    before = load(photos, cache).train.images
    size = 8
    if change == "content":
        write(photos / "ant" / "0.png", 33)
        os.utime(photos / "ant" / "0.png", ns=(1, 1))
    elif change == "more":
        write(photos / "ant" / "9.png", 33)
    elif change == "less":
        (photos / "ant" / "0.png").unlink()
    else:
        size = 6
    after = load_dataset(f"folder:{photos}", size=size, cache=cache).train.images
    assert after.shape != before.shape or (after != before).any()
    assert len(entries(cache)) == 4


@pytest.mark.parametrize("harm", ["no index", "no array", "cut array", "other array", "junk index", "odd index"])
def test_a_damaged_cache_is_made_anew(photos, cache, harm):
    before = load(photos, cache).train.images
    array, index = (next(cache.glob(f"*{suffix}")) for suffix in (".npy", ".json"))
    if harm == "no index":
        index.unlink()
    elif harm == "no array":
        array.unlink()
    elif harm == "cut array":
        array.write_bytes(array.read_bytes()[:-1])
    elif harm == "other array":
        np.save(array, np.zeros((3, 8, 8, 3), np.uint8))
    else:
        index.write_text("{" if harm == "junk index" else json.dumps({"left_out": [1]}))
    np.testing.assert_array_equal(load(photos, cache).train.images, before)
    assert entries(cache) == [".json", ".npy"]


def test_a_broken_off_decoding_leaves_nothing(photos, cache):
    def stop(done, count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(photos, cache, progress=stop)
    assert entries(cache) == []


def test_a_cache_that_cannot_be_written_names_the_way_out(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be kept there .*give another folder with --cache"):
        load(photos, tmp_path / "file" / "cache")


def test_the_cache_is_where_the_system_says(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    load_dataset(f"folder:{photos}", size=8)
    assert entries(tmp_path / "xdg" / "taurank") == [".json", ".npy"]


def test_the_size_that_is_chosen_is_said(photos, cache, caplog):
    with caplog.at_level(logging.WARNING):
        found = load_dataset(f"folder:{photos}", cache=cache)
    assert found.train.images.shape == (8, 64, 64, 3)
    assert warned(caplog) == [f"folder:{photos}: no size is given: images are brought to 64 x 64"]


def test_many_bytes_stay_in_their_file_and_splits_are_the_same(photos, cache, monkeypatch):
    settings = {"seed": 0, "validation": 2, "test": 2}
    held = make_splits(load(photos, cache), **settings)
    monkeypatch.setattr("taurank.trainables.data.decoded_cache.IN_MEMORY_BYTES", 0)
    mapped = make_splits(load(photos, cache), **settings)
    for part in ("train", "validation", "test"):
        images = getattr(mapped, part).images
        assert isinstance(images, MappedImages)
        np.testing.assert_array_equal(images[:], getattr(held, part).images)
        np.testing.assert_array_equal(getattr(mapped, part).labels, getattr(held, part).labels)
    assert (mapped.mean, mapped.std) == (pytest.approx(held.mean), pytest.approx(held.std))


# --- archives


def save(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


GREY = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)


def test_an_archive_with_and_without_a_test_part(tmp_path):
    whole = load_dataset(save(tmp_path / "a.npz", x=GREY, y=[0, 1, 1, 0]))
    np.testing.assert_array_equal(whole.train.images[..., 0], GREY)
    assert whole.test is None
    assert whole.classes == ("0", "1")
    parts = load_dataset(
        save(tmp_path / "b.npz", x_train=GREY, y_train=[[3], [7], [7], [3]], x_test=GREY[:1], y_test=[[7]])
    )
    assert parts.classes == ("3", "7")
    assert parts.train.labels.tolist() == [0, 1, 1, 0]
    assert parts.test.labels.tolist() == [1]


def test_labels_of_an_archive_may_be_names(tmp_path):
    found = load_dataset(save(tmp_path / "a.npz", x=GREY, y=["dog", "cat", "dog", "cow"]))
    assert found.classes == ("cat", "cow", "dog")
    assert found.train.labels.tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": GREY}, "needs the arrays x and y, or x_train and y_train; has x"),
        ({"x": GREY / 255, "y": [0, 1, 1, 0]}, r"x should be uint8 \(n, H, W\) or \(n, H, W, C\), got float64"),
        ({"x": GREY, "y": [0, 1, 1]}, "4 images, but 3 labels"),
        ({"x": GREY, "y": [0.0, 1, 1, 0]}, "y should be whole numbers or names"),
        ({"x": GREY, "y": [1, 1, 1, 1]}, "has 1 classes"),
        ({"x": GREY, "y": [0, 1, 1, 0], "x_test": GREY}, "has x_test without y_test"),
        ({"x": GREY, "y": [0, 1, 1, 0], "x_test": GREY, "y_test": [0, 1, 2, 0]}, "y_test has the class '2'"),
        ({"x": GREY, "y": [0, 1, 1, 0], "x_test": GREY[:, 1:], "y_test": [0, 1, 1, 0]}, "other images than x"),
        ({"x": GREY[..., None].repeat(2, 3), "y": [0, 1, 1, 0]}, "has 2 channels; it has to be 1 or 3"),
        ({"x": np.array([{}] * 4), "y": [0, 1, 1, 0]}, "is not a whole .npz archive of plain arrays"),
    ],
)
def test_archives_of_something_else_are_refused(tmp_path, arrays, said):
    with pytest.raises(DataError, match=said) as excinfo:
        load_dataset(save(tmp_path / "a.npz", **arrays))
    assert "\n" not in str(excinfo.value)


def test_no_archive_at_all(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"is not a whole \.npz"):
        load_dataset(f"npz:{tmp_path / 'a.npz'}")
