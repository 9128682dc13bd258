"""Packed images: one file of encoded images, resumed after an interruption, decoded as they are used."""

import logging
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from taurank.trainables.data import (
    Augmentation,
    DataError,
    PackedImages,
    Packing,
    check_pack,
    choose_images,
    digest_images,
    iterate_batches,
    iterate_pixels,
    less_data,
    load_dataset,
    make_splits,
    pack_images,
)
from taurank.trainables.data import own_images as own
from taurank.trainables.data.decode import decode_whole
from taurank.trainables.data.local_copy import copy_once
from taurank.trainables.data.pack_file import ROW, read_index
from taurank.trainables.training import Recipe, Training, describe_lost_images


def picture(height, width, seed=0):
    """Smooth colours and some noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(60, 200, (4, 4, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + generator.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def write(path, image, *flags):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image, list(flags))


@pytest.fixture
def photos(tmp_path):
    """Two classes of eight JPEGs of other sizes each."""
    sizes = np.random.default_rng(0).integers(40, 120, (16, 2)).tolist()
    for place, (height, width) in enumerate(sizes):
        write(tmp_path / "photos" / ("ant", "bee")[place % 2] / f"{place:02d}.jpg", picture(height, width, place))
    return tmp_path / "photos"


def packed(photos, *, size=24, packing=None, **settings):
    file = photos.parent / "photos.pack"
    pack_images(f"folder:{photos}", file, packing or Packing(None))
    return load_dataset(f"packed:{file}", size=size, **settings)


def refused(work):
    with pytest.raises(DataError) as excinfo:
        work()
    message = str(excinfo.value)
    assert "\n" not in message
    return message


@pytest.fixture
def threads():
    """Sets torch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- what is in the file


def test_labels_classes_and_pixels_are_those_of_the_folder(photos, tmp_path):
    found = packed(photos, size=24)
    decoded = load_dataset(f"folder:{photos}", size=24, cache=tmp_path / "cache")
    assert found.classes == decoded.classes == ("ant", "bee")
    np.testing.assert_array_equal(found.train.labels, decoded.train.labels)
    assert found.train.images.shape == decoded.train.images.shape
    assert found.train.images.dtype == np.uint8
    # The same middle, averaged by other filters.
    difference = np.abs(found.train.images[:].astype(float) - decoded.train.images)
    assert difference.mean() < 4


def test_as_is_keeps_every_byte_and_the_checksums_hold(photos):
    index = pack_images(f"folder:{photos}", photos.parent / "f.pack", Packing(None))
    files = sorted((photos / "ant").iterdir()) + sorted((photos / "bee").iterdir())
    content = (photos.parent / "f.pack").read_bytes()
    for row, file in zip(index.rows, files, strict=True):
        assert content[row["offset"] : row["offset"] + row["length"]] == file.read_bytes()
    assert check_pack(photos.parent / "f.pack") == (16, [])


@pytest.mark.parametrize(("side", "sizes"), [(32, {32}), (400, None)])
def test_only_larger_images_are_brought_to_the_short_side(photos, side, sizes):
    rows = pack_images(f"folder:{photos}", photos.parent / "f.pack", Packing(side)).rows
    whole = pack_images(f"folder:{photos}", photos.parent / "g.pack", Packing(None)).rows
    shorter = np.minimum(rows["height"], rows["width"])
    if sizes:
        assert set(shorter.tolist()) == sizes
        ratios, before = (table["height"] / table["width"] for table in (rows, whole))
        np.testing.assert_allclose(ratios, before, rtol=0.03)
    else:  # nothing is enlarged or encoded again
        assert rows["crc"].tolist() == whole["crc"].tolist()


def test_mean_and_deviation_are_those_of_the_packed_pixels(photos):
    found = packed(photos, packing=Packing(None)).train.images
    pixels = [decode_whole(file.read_bytes(), "", 3)[0] for file in sorted(photos.glob("*/*.jpg"))]
    mean, std = found.moments()
    means = np.array([image.mean((0, 1)) for image in pixels])
    squares = np.array([(image.astype(float) ** 2).mean((0, 1)) for image in pixels])
    np.testing.assert_allclose(mean, means.mean(0), rtol=1e-5)
    np.testing.assert_allclose(std, np.sqrt(squares.mean(0) - means.mean(0) ** 2), rtol=1e-4)


def test_parts_of_a_csv(photos, tmp_path):
    listed = "file,label,split\n" + "".join(
        f"{file.relative_to(tmp_path)},{file.parent.name},{('train', 'val', 'test')[place % 3]}\n"
        for place, file in enumerate(sorted(photos.glob("*/*.jpg")))
    )
    (tmp_path / "list.csv").write_text(listed)
    pack_images(f"folder:{tmp_path / 'list.csv'}", tmp_path / "f.pack")
    found = load_dataset(f"packed:{tmp_path / 'f.pack'}", size=8)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [6, 5, 5]


# --- crops


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_crop_is_cut_from_the_whole_image(photos, interpolation):
    from taurank.trainables.data.image_operations import resize_crops

    images = packed(photos).train.images
    heights, widths = images.sides(np.arange(16))
    boxes = np.stack([heights // 4, widths // 3, heights // 2, widths // 2], 1)
    found = images.crops(np.arange(16), boxes, 40, interpolation)  # larger than half of any box: not reduced
    for place, file in enumerate(sorted(photos.glob("*/*.jpg"))):
        whole = torch.from_numpy(decode_whole(file.read_bytes(), "", 3)[0])
        wanted = resize_crops(whole[None], boxes[place][None], 40, interpolation)[0]
        np.testing.assert_array_equal(found[place], wanted.numpy())


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_reduced_crop_shows_the_same_place(tmp_path, factor, monkeypatch):
    """A white square in a black image: a box that is reduced has to find its edges where the whole one does."""
    for name in ("a", "b"):
        image = np.zeros((640, 512, 3), np.uint8)
        image[128:384, 256:384] = 255
        write(tmp_path / "set" / name / "0.jpg", image, cv2.IMWRITE_JPEG_QUALITY, 100)
    pack_images(f"folder:{tmp_path / 'set'}", tmp_path / "f.pack", Packing(None))
    images = load_dataset(f"packed:{tmp_path / 'f.pack'}", size=32).train.images
    box = np.array([[0, 128, 512, 384]])
    size = 384 // factor
    reduced = []

    def noting(*arguments, **options):
        found = decode_whole(*arguments, **options)
        reduced.append(found[2])
        return found

    monkeypatch.setattr("taurank.trainables.data.packed.decode_whole", noting)
    found = images.crops(np.array([0]), box, size)[0, :, :, 0]
    assert reduced == [factor]
    rows, columns = np.nonzero(found.max(1) > 128)[0], np.nonzero(found.max(0) > 128)[0]
    # Rows 128..384 of 512, columns 128..256 of 384.
    assert (rows[0], rows[-1] + 1) == pytest.approx((size / 4, size * 3 / 4), abs=1)
    assert (columns[0], columns[-1] + 1) == pytest.approx((size / 3, size * 2 / 3), abs=1)


def test_a_detail_is_left_where_the_crop_is_small(tmp_path):
    """A chessboard of single pixels stays black and white in a box that is not reduced."""
    board = np.kron(np.indices((64, 64)).sum(0) % 2, np.ones((2, 2)))[..., None].repeat(3, 2) * 255
    for name in ("a", "b"):
        write(tmp_path / "set" / name / "0.jpg", board.astype(np.uint8), cv2.IMWRITE_JPEG_QUALITY, 100)
    pack_images(f"folder:{tmp_path / 'set'}", tmp_path / "f.pack", Packing(None))
    images = load_dataset(f"packed:{tmp_path / 'f.pack'}", size=32).train.images
    crop = images.crops(np.array([0]), np.array([[32, 32, 32, 32]]), 32)[0]
    assert crop.min() < 32
    assert crop.max() > 223


def augmented(data, **changed):
    settings = {"batch_size": 5, "generator": np.random.default_rng([3, 1]), "mean": data.mean, "std": data.std}
    settings["augmentation"] = Augmentation(resized_crop=0.2, flip=True, colour_jitter=0.3, policy="randaugment")
    return list(iterate_batches(data.train, **(settings | changed)))


def split(dataset):
    return make_splits(dataset, seed=0, validation=4, test=2)


def test_the_same_batches_by_any_number_of_threads_and_in_another_process(photos, threads):
    data = split(packed(photos))
    batches = []
    for count in (1, 3):
        threads(count)
        batches.append(augmented(data))
    batches.append(augmented(pickle.loads(pickle.dumps(data))))
    for other in batches[1:]:
        for (pixels, labels), (same_pixels, same_labels) in zip(batches[0], other, strict=True):
            assert torch.equal(pixels, same_pixels)
            assert torch.equal(labels, same_labels)
    again = augmented(data, generator=np.random.default_rng([3, 2]))
    assert not torch.equal(again[0][0], batches[0][0][0])


def test_only_the_name_and_the_rows_travel(photos):
    images = packed(photos).train.images
    images[:]  # opens the file
    assert len(pickle.dumps(images)) < len(images) * ROW.itemsize + 1000


def test_crops_are_half_the_size_and_the_evaluated_middle_is_smaller(photos):
    data = split(packed(photos, size=24))
    half = augmented(data, augmentation=Augmentation(resized_crop=0.2, resolution=0.5))
    assert half[0][0].shape == (5, 3, 12, 12)
    images = data.validation
    plain = {"batch_size": 4, "generator": None, "augmentation": None, "mean": [0.0] * 3, "std": [1.0] * 3}
    ((seen, _),) = iterate_batches(images, centre=0.5, **plain)
    boxes = images.images.centred(np.arange(4), 0.5)
    heights, widths = images.images.sides(np.arange(4))
    np.testing.assert_array_equal(boxes[:, 2], np.rint(np.minimum(heights, widths) / 2))
    np.testing.assert_array_equal(seen.permute(0, 2, 3, 1), images.images.crops(np.arange(4), boxes, 24))


def test_the_bytes_are_those_of_the_batches(photos):
    data = split(packed(photos))
    augmentation = Augmentation(resized_crop=0.3, flip=True)
    batches = augmented(data, augmentation=augmentation, mean=[0.0] * 3, std=[1.0] * 3)
    found = iterate_pixels(data.train, batch_size=5, generator=np.random.default_rng([3, 1]), augmentation=augmentation)
    for (pixels, _), as_bytes in zip(batches, found, strict=True):
        np.testing.assert_array_equal(pixels.permute(0, 2, 3, 1).numpy(), as_bytes)


# --- less data


def test_less_data_stays_packed(photos):
    data = split(packed(photos, size=24))
    less = less_data(data, share=0.5, resolution=0.5)
    assert less.input_shape == (3, 12, 12)
    assert isinstance(less.train.images, PackedImages)
    assert less.train.images[:].shape == (5, 12, 12, 3)
    assert len(choose_images(data.train, 0.5, by="k-center")) == 5


# --- what images may be


def exif_turned(path, image):
    """A JPEG that has to be turned by a quarter to be upright."""
    body = (
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
    )
    encoded = cv2.imencode(".jpg", image)[1].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + encoded[2:])


def cmyk(path, image):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).convert("CMYK").save(path, format="JPEG", quality=95)


@pytest.mark.parametrize("packing", [Packing(None), Packing(48)])
def test_unusual_images_look_as_they_do_in_the_folder(tmp_path, packing):
    root = tmp_path / "set"
    exif_turned(root / "a" / "0.jpg", picture(60, 90))
    cmyk(root / "a" / "1.jpg", picture(70, 60, 1))
    write(root / "a" / "2.png", picture(1, 1, 2))
    write(root / "a" / "3.png", np.dstack([picture(50, 60, 3), np.full((50, 60), 7, np.uint8)]))  # transparent
    write(root / "b" / "4.jpg", picture(64, 900, 4))
    write(root / "b" / "5.bmp", picture(60, 61, 5))
    write(root / "b" / "6.jpg", picture(80, 80, 6)[..., 0])  # grey
    write(root / "b" / "7.png", np.linspace(0, 4095, 3600).astype(np.uint16).reshape(60, 60))  # 12 of 16 bits
    pack_images(f"folder:{root}", tmp_path / "f.pack", packing)
    found = load_dataset(f"packed:{tmp_path / 'f.pack'}", size=16).train
    wanted = load_dataset(f"folder:{root}", size=16, cache=tmp_path / "cache").train
    for place in range(8):
        difference = np.abs(found.images[place].astype(float) - wanted.images[place])
        assert difference.mean() < 6, place
    heights, widths = found.images.sides(np.arange(1))
    assert heights[0] > widths[0]  # turned


def test_a_side_beyond_those_of_a_jpeg(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "set" / name / "0.png", np.full((1, 70_000, 3), 90, np.uint8))
    pack_images(f"folder:{tmp_path / 'set'}", tmp_path / "f.pack")
    assert load_dataset(f"packed:{tmp_path / 'f.pack'}", size=4).train.images[0].tolist() == [[[90] * 3] * 4] * 4


def test_broken_images_are_named_counted_and_remembered(photos, caplog):
    (photos / "ant" / "02.jpg").write_bytes((photos / "ant" / "02.jpg").read_bytes()[:200])
    (photos / "bee" / "03.jpg").write_bytes(b"")
    index = pack_images(f"folder:{photos}", photos.parent / "f.pack")
    assert len(index.rows) == 14
    (line,) = index.noted["lines"]
    assert line.startswith(f"folder:{photos}: 2 of 16 images are left out: ant/02.jpg: cut short")
    assert "bee/03.jpg: " in line
    with caplog.at_level(logging.WARNING):
        found = load_dataset(f"packed:{photos.parent / 'f.pack'}", size=8)
        assert line.partition(": ant/")[0] in [record.getMessage() for record in caplog.records]
    assert np.bincount(found.train.labels).tolist() == [7, 7]


def test_a_class_of_broken_images_is_refused(photos):
    for file in (photos / "ant").iterdir():
        file.write_bytes(b"no image")
    said = refused(lambda: pack_images(f"folder:{photos}", photos.parent / "f.pack"))
    assert "no image of the class 'ant' can be decoded; ant/00.jpg: " in said


# --- written as a whole, and resumed


def test_an_interrupted_packing_goes_on_where_it_was(photos, monkeypatch):
    file, partial = photos.parent / "f.pack", photos.parent / "f.pack.partial"
    pack_images(f"folder:{photos}", photos.parent / "whole.pack", Packing(32))
    packed_names: list[str] = []
    pack = Packing.pack

    def counting(self, encoded, name):
        packed_names.append(name)
        return pack(self, encoded, name)

    def interrupt(done, count):
        raise KeyboardInterrupt

    monkeypatch.setattr(Packing, "pack", counting)
    monkeypatch.setattr("taurank.trainables.data.decoded_cache.CHUNK", 3)
    with pytest.raises(KeyboardInterrupt):
        pack_images(f"folder:{photos}", file, Packing(32), progress=interrupt)
    assert partial.exists()
    assert not file.exists()
    with partial.open("ab") as torn:
        torn.write(b"\x07" * 1000)  # a record that was half written
    first = len(packed_names)
    done = []
    pack_images(f"folder:{photos}", file, Packing(32), progress=lambda *numbers: done.append(numbers))
    assert sorted(packed_names[first:]) == sorted(read_names(photos)[3:])
    assert done[0] == (6, 16)
    assert file.read_bytes() == (photos.parent / "whole.pack").read_bytes()
    assert not partial.exists()


def read_names(photos):
    return [str(file.relative_to(photos)) for file in sorted(photos.glob("*/*.jpg"))]


@pytest.mark.parametrize("cut", [0, 1, 55, 56, 57, 150, -1])
def test_any_length_of_an_unfinished_file_is_continued(photos, cut):
    whole = photos.parent / "whole.pack"
    pack_images(f"folder:{photos}", whole, Packing(32))
    (photos.parent / "f.pack.partial").write_bytes(whole.read_bytes()[:cut])
    pack_images(f"folder:{photos}", photos.parent / "f.pack", Packing(32))
    assert (photos.parent / "f.pack").read_bytes() == whole.read_bytes()


def test_an_unfinished_file_of_other_images_is_begun_again(photos):
    pack_images(f"folder:{photos}", photos.parent / "other.pack", Packing(40))
    (photos.parent / "f.pack.partial").write_bytes((photos.parent / "other.pack").read_bytes())
    rows = pack_images(f"folder:{photos}", photos.parent / "f.pack", Packing(32)).rows
    assert set(np.minimum(rows["height"], rows["width"]).tolist()) == {32}


@pytest.mark.slow
def test_packing_that_is_killed_goes_on(photos):
    program = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from taurank.trainables.data import Packing, decoded_cache, pack_images
        decoded_cache.CHUNK = 1
        def wait(done, count):
            Path({str(photos.parent / "done")!r}).write_text(str(done))
            if done == 8:
                time.sleep(60)
        pack_images("folder:{photos}", Path({str(photos.parent / "f.pack")!r}), Packing(32), progress=wait)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    give_up = time.monotonic() + 60
    while not (photos.parent / "done").exists() or (photos.parent / "done").read_text() != "8":
        assert time.monotonic() < give_up
        assert process.poll() is None
        time.sleep(0.02)
    said = refused(lambda: pack_images(f"folder:{photos}", photos.parent / "f.pack", Packing(32)))
    assert said.endswith("f.pack.partial: another process is writing it; wait until it has ended")
    process.send_signal(signal.SIGKILL)
    process.wait()
    said = refused(lambda: load_dataset(f"packed:{photos.parent / 'f.pack'}"))
    assert said.endswith("f.pack, only f.pack.partial; taurank data pack continues it")
    pack_images(f"folder:{photos}", photos.parent / "f.pack", Packing(32))
    pack_images(f"folder:{photos}", photos.parent / "whole.pack", Packing(32))
    assert (photos.parent / "f.pack").read_bytes() == (photos.parent / "whole.pack").read_bytes()


def test_the_same_again_reads_it_and_other_images_are_refused(photos):
    file = photos.parent / "f.pack"
    pack_images(f"folder:{photos}", file)
    before = file.stat().st_mtime_ns
    pack_images(f"folder:{photos}", file)
    assert file.stat().st_mtime_ns == before
    assert "holds other images or was packed in another way" in refused(
        lambda: pack_images(f"folder:{photos}", file, Packing(None))
    )
    file.write_text("my notes")
    assert "is no whole file of packed images; remove it" in refused(lambda: pack_images(f"folder:{photos}", file))
    assert file.read_text() == "my notes"


def test_a_folder_that_cannot_be_written(photos):
    (photos.parent / "file").touch()
    said = refused(lambda: pack_images(f"folder:{photos}", photos.parent / "file" / "f.pack"))
    assert "cannot be written" in said


@pytest.mark.parametrize(("short_side", "quality"), [(0, 90), (256, 0), (256, 101)])
def test_settings_out_of_range(short_side, quality):
    assert "has to be" in refused(lambda: Packing(short_side, quality))


# --- damaged, cut short, gone


def test_a_changed_byte_is_found_by_the_check_and_on_reading(photos):
    images = packed(photos).train.images
    content = bytearray(images.path.read_bytes())
    content[int(images.rows["offset"][3]) + 50] ^= 1
    images.path.write_bytes(content)
    line = f"{images.path}: the bytes of ant/06.jpg have changed since they were packed; pack the images again"
    assert check_pack(images.path) == (16, [line])
    assert refused(lambda: images[3]) == line
    images[2]


@pytest.mark.parametrize("length", [0, 7, 40, 3000, -200, -1])
def test_a_file_cut_short(photos, length):
    images = packed(photos).train.images
    images[0]  # opened before it is cut
    with images.path.open("r+b") as file:
        file.truncate(length if length >= 0 else images.path.stat().st_size + length)
    said = describe_lost_images(images.path)
    assert said.startswith(f"{images.path}: ")
    assert said.count(str(images.path)) == 1
    assert str(images.path) in refused(lambda: load_dataset(f"packed:{images.path}", size=8))
    if 0 <= length <= 3000:
        assert str(images.path) in refused(lambda: images[:])


def test_a_file_that_is_gone_or_packed_again(photos):
    images = packed(photos).train.images
    fresh = pickle.loads(pickle.dumps(images))
    content = images.path.read_bytes()
    images.path.unlink()
    assert "No such file" in describe_lost_images(images.path)
    assert "No such file" in refused(lambda: fresh[0])
    images.path.write_bytes(content[:10] + bytes([content[10] ^ 1]) + content[11:])
    assert "has been packed again since" in refused(lambda: fresh[0])


def test_a_damaged_index(photos):
    images = packed(photos).train.images
    content = bytearray(images.path.read_bytes())
    content[-2000:-1900] = bytes(100)
    images.path.write_bytes(content)
    assert refused(lambda: load_dataset(f"packed:{images.path}")) == (
        f"{images.path}: its index is damaged; pack the images again"
    )


def training_on(data):
    recipe = Recipe(epochs=3, batch_size=4, learning_rate=0.01, augmentation=Augmentation(resized_crop=0.3, flip=True))

    def build():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

    return Training(build, recipe, data, seed=1)


def test_a_restored_training_goes_on_with_the_same_numbers(photos, threads):
    data = split(packed(photos))
    whole, first, second = (training_on(one) for one in (data, data, pickle.loads(pickle.dumps(data))))
    wanted = [whole.step_epoch() for _ in range(3)]
    first.step_epoch()
    second.load_state_dict(first.state_dict())
    threads(2)  # prefetched, and decoded by several threads
    for row in wanted[1:]:
        found = second.step_epoch()
        assert found | {"seconds": 0} == pytest.approx(row | {"seconds": 0}, rel=1e-5)


def test_a_file_cut_short_in_a_training_is_an_error_and_named(photos):
    data = split(packed(photos))
    training = training_on(data)
    training.step_epoch()
    with data.file.open("r+b") as file:
        file.truncate(3000)
    assert refused(training.step_epoch) == f"{data.file}: has been cut short"
    # Which the driver finds, too, so that it is no failure of a candidate.
    assert describe_lost_images(data.file).startswith(f"{data.file}: is cut short (3,000 bytes)")


# --- a copy on each node


def test_the_file_is_copied_once(photos, tmp_path, monkeypatch):
    local = tmp_path / "scratch"
    dataset = packed(photos, local_copy=local)
    before = dataset.train.images[:]
    (copy,) = [file for file in local.iterdir() if file.suffix == ".pack"]
    monkeypatch.setattr("shutil.copyfile", None)  # not again
    again = load_dataset(f"packed:{dataset.train.images.path}", size=24, local_copy=local)
    np.testing.assert_array_equal(again.train.images[:], before)
    assert copy.read_bytes() == again.train.images.path.read_bytes()
    assert not list(local.glob("*.partial"))


def test_a_copy_of_the_wrong_length_is_made_again(tmp_path):
    (tmp_path / "f.pack").write_bytes(b"12345")
    copy = copy_once(tmp_path / "f.pack", tmp_path / "local", b"1")
    copy.write_bytes(b"123")
    assert copy_once(tmp_path / "f.pack", tmp_path / "local", b"1").read_bytes() == b"12345"
    assert copy_once(tmp_path / "f.pack", tmp_path / "local", b"2") != copy


def test_too_little_space_is_said_before_anything_is_copied(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10**9))
    dataset = packed(photos, local_copy=tmp_path / "scratch")
    said = refused(lambda: dataset.train.images[0])
    assert "has 1.0 GB free; a copy of" in said
    assert not [file for file in (tmp_path / "scratch").iterdir() if file.suffix != ".lock"]


def test_only_packed_images_are_copied(photos, tmp_path):
    said = refused(lambda: load_dataset(f"folder:{photos}", size=8, cache=tmp_path / "c", local_copy=tmp_path))
    assert said.startswith("local_copy: only packed images are copied")


# --- chosen by size, and told apart


def test_a_large_set_is_packed_and_a_small_one_decoded(photos, tmp_path, monkeypatch, caplog):
    cache = tmp_path / "cache"
    assert isinstance(load_dataset(f"folder:{photos}", size=8, cache=cache).train.images, np.ndarray)
    monkeypatch.setattr(own, "PACKED_BYTES", 16 * 8 * 8 * 3 - 1)
    with caplog.at_level(logging.WARNING):
        found = load_dataset(f"folder:{photos}", size=8, cache=cache)
        load_dataset(f"folder:{photos}", size=8, cache=cache)
    assert isinstance(found.train.images, PackedImages)
    assert len(list(cache.glob("*.packed"))) == 1
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "16 images at 8 x 8 would be 0 GB: they are packed as JPEGs with a short side of 256" in said[0]


def test_the_digest_is_that_of_the_bytes_not_of_the_name(photos, tmp_path):
    first = split(packed(photos))
    pack_images(f"folder:{photos}", tmp_path / "second.pack", Packing(None))
    pack_images(f"folder:{photos}", tmp_path / "third.pack", Packing(32))
    second, third = (split(load_dataset(f"packed:{tmp_path / name}.pack", size=24)) for name in ("second", "third"))
    assert digest_images(first) == digest_images(second) != digest_images(third)
    assert digest_images(first) != digest_images(split(packed(photos, size=16)))


def test_the_index_says_where_it_is_from(photos):
    index = read_index(packed(photos).train.images.path)
    assert index.noted["source"] == f"folder:{photos}"
    assert index.noted["counts"] == {"train": 16, "validation": 0, "test": 0}


def test_names_that_cannot_be_packed(photos, tmp_path):
    assert "is none of folder:PATH, imagenet:PATH" in refused(lambda: pack_images("cifar10", tmp_path / "f"))
    assert "there is no" in refused(lambda: pack_images(f"folder:{photos}x", tmp_path / "f"))
