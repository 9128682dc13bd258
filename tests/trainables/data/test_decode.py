"""Decoding of image files, and resizing."""

import struct

import cv2
import numpy as np
import pytest

from taurank.trainables.data import DataError, decode_image, resize_image, resize_images

RED_BLUE = np.zeros((16, 16, 3), np.uint8)  # RGB: red on the left, blue on the right
RED_BLUE[:, :8, 0] = 255
RED_BLUE[:, 8:, 2] = 255


def encoded(rgb, extension=".png"):
    image = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(extension, image, [cv2.IMWRITE_JPEG_QUALITY, 100] if extension == ".jpg" else [])[1].tobytes()


def smooth(seed=0, side=200):
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (9, 9), 3)


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tiff"])
def test_pixels_come_back_as_they_were_in_rgb_order(extension):
    picture = smooth(side=24)
    result = decode_image(encoded(picture, extension), 24, 3)[0]
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, picture)


def test_a_jpeg_comes_back_in_rgb_order():
    result = decode_image(encoded(RED_BLUE, ".jpg"), 16, 3)[0]
    assert result[8, 2].tolist() == pytest.approx([255, 0, 0], abs=4)
    assert result[8, 13].tolist() == pytest.approx([0, 0, 255], abs=4)


@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_a_file_is_read_by_its_path(tmp_path, as_type):
    path = tmp_path / "red and blue.png"
    path.write_bytes(encoded(RED_BLUE))
    np.testing.assert_array_equal(decode_image(as_type(path), 16, 3)[0], RED_BLUE)


def test_one_channel_is_the_grey_value():
    result = decode_image(encoded(RED_BLUE), 16, 1)[0]
    assert result.shape == (16, 16, 1)
    # ITU-R BT.601: 0.299 of red, 0.114 of blue.
    assert result[0, 0, 0] == pytest.approx(0.299 * 255, abs=1)
    assert result[0, 15, 0] == pytest.approx(0.114 * 255, abs=1)


def test_a_grey_file_gives_three_equal_channels():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    result = decode_image(encoded(grey), 16, 3)[0]
    np.testing.assert_array_equal(result, np.repeat(grey[..., None], 3, 2))


def test_sixteen_bits_become_eight_and_transparency_goes():
    deep = (np.arange(256, dtype=np.uint16) * 256).reshape(16, 16)
    np.testing.assert_array_equal(decode_image(encoded(deep), 16, 1)[0][..., 0], np.arange(256).reshape(16, 16))
    transparent = cv2.imencode(".png", np.dstack([RED_BLUE[..., ::-1], np.full((16, 16), 7, np.uint8)]))[1].tobytes()
    np.testing.assert_array_equal(decode_image(transparent, 16, 3)[0], RED_BLUE)


def with_orientation(jpeg, orientation):
    """The JPEG with an EXIF segment that holds nothing but the orientation tag (0x0112, one short)."""
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("channels", [1, 3])
def test_exif_orientation_is_honoured(channels):
    jpeg = encoded(RED_BLUE, ".jpg")
    plain = decode_image(jpeg, 16, channels)[0]
    np.testing.assert_array_equal(decode_image(with_orientation(jpeg, 1), 16, channels)[0], plain)
    # 6: the camera was turned, and the picture has to be turned by 90 degrees clockwise.
    np.testing.assert_array_equal(decode_image(with_orientation(jpeg, 6), 16, channels)[0], np.rot90(plain, -1))


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_named(tmp_path, extension, kept):
    whole = encoded(smooth(), extension)
    assert decode_image(whole, 32, 3)[0].shape == (32, 32, 3)
    path = tmp_path / f"cut{extension}"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(DataError) as excinfo:
        decode_image(path, 32, 3)[0]
    assert str(excinfo.value).startswith(f"{path}: ")
    assert "\n" not in str(excinfo.value)


def test_a_cut_jpeg_is_told_from_a_whole_one_without_its_decoder():
    from taurank.trainables.data.decode import _is_cut_jpeg

    jpeg = encoded(smooth(), ".jpg")
    progressive = cv2.imencode(".jpg", smooth(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    restarts = cv2.imencode(".jpg", smooth(), [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])[1].tobytes()
    # A thumbnail is a whole JPEG inside the EXIF segment: its end marker is not the end of the picture.
    thumbnail = encoded(RED_BLUE, ".jpg")
    holder = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + jpeg[2:]
    for whole in (jpeg, progressive, restarts, holder):
        assert not _is_cut_jpeg(whole)
        assert not _is_cut_jpeg(whole + b"trailer \xff\xda of a camera")
        for kept in (len(whole) - 1, len(whole) - 2, len(whole) * 2 // 3, 2):
            assert _is_cut_jpeg(whole[:kept])
    assert not _is_cut_jpeg(encoded(smooth()))  # no JPEG


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_bytes_that_are_no_image_are_refused(tmp_path, content):
    with pytest.raises(DataError, match=r"^image bytes: "):
        decode_image(content, 8, 3)[0]
    path = tmp_path / "note.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"note\.jpg: "):
        decode_image(path, 8, 3)[0]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: cannot be read \(No such file or directory\)"):
        decode_image(tmp_path / "gone.png", 8, 3)[0]


@pytest.mark.parametrize(("size", "channels", "said"), [(0, 3, "size is 0"), (8, 4, "channels is 4")])
def test_bad_arguments_are_named(size, channels, said):
    with pytest.raises(DataError, match=said):
        decode_image(encoded(RED_BLUE), size, channels)[0]


def test_of_an_image_of_another_shape_the_middle_is_kept():
    wide = np.concatenate([np.zeros((16, 10, 3), np.uint8), RED_BLUE, np.zeros((16, 11, 3), np.uint8)], axis=1)
    np.testing.assert_array_equal(decode_image(encoded(wide), 16, 3)[0], RED_BLUE)


def test_a_side_that_shrinks_is_averaged_even_where_the_other_grows():
    stripes = np.zeros((4, 64, 1), np.uint8)
    stripes[:, ::4] = 200
    assert (resize_image(stripes, 16) == 50).all()
    assert (resize_image(stripes.transpose(1, 0, 2), 16) == 50).all()


@pytest.mark.parametrize("size", [5, 8, 13])
@pytest.mark.parametrize("channels", [1, 3])
def test_many_images_are_resized_as_each_of_them_is(size, channels):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, channels), dtype=np.uint8)
    result = resize_images(images, size)
    assert result.shape == (4, size, size, channels)
    for one, all_of_them in zip(images, result, strict=True):
        np.testing.assert_array_equal(resize_image(one, size), all_of_them)
