import numpy as np
import pytest
from PIL import Image

from tensordyno.datasets.pixels import SUFFIXES, Unreadable, read_picture

GRADIENT = np.arange(60, dtype=np.uint8).reshape(6, 10) * 4
COLOUR = np.stack([GRADIENT, GRADIENT[::-1], np.full_like(GRADIENT, 99)], axis=2)


@pytest.mark.parametrize("kind", [".png", ".bmp", ".tif", ".tiff", ".ppm", ".webp", ".PNG"])
def test_lossless_colour_is_read_exactly(kind, tmp_path):
    path = tmp_path / f"a{kind}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if kind == ".webp" else {}))
    picture = read_picture(path)
    assert picture.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(picture), COLOUR)


@pytest.mark.parametrize("kind", [".png", ".pgm", ".jpg", ".gif"])
def test_grey_stays_near_what_it_was(kind, tmp_path):
    path = tmp_path / f"a{kind}"
    Image.fromarray(GRADIENT).save(path)
    found = np.asarray(read_picture(path).convert("L")).astype(int)
    assert np.abs(found - GRADIENT).max() <= (6 if kind == ".jpg" else 0)


def test_transparency_is_dropped(tmp_path):
    for alpha in (0, 128, 255):
        rgba = np.dstack([COLOUR, np.full_like(GRADIENT, alpha)])
        Image.fromarray(rgba).save(tmp_path / "a.png")
        np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / "a.png")), COLOUR)


def test_grey_with_alpha_is_grey(tmp_path):
    Image.fromarray(np.dstack([GRADIENT, GRADIENT])).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), GRADIENT)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(COLOUR).quantize(16)
    image.save(tmp_path / "a.png", transparency=bytes(range(16)))
    np.testing.assert_array_equal(
        np.asarray(read_picture(tmp_path / "a.png")), np.asarray(image.convert("RGB"))
    )


def test_cmyk_is_converted(tmp_path):
    Image.new("CMYK", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    assert picture.mode == "RGB" and picture.getpixel((0, 0)) == (0, 255, 255)


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    deep = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / "a.png")), [[0, 0, 1, 128, 255]])


def test_black_and_white_is_0_and_255(tmp_path):
    Image.fromarray(GRADIENT > 100).save(tmp_path / "a.png")
    assert set(np.unique(np.asarray(read_picture(tmp_path / "a.png")))) == {0, 255}


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_a_picture_stands_upright_as_its_exif_says(orientation, turned, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / "a.png")), np.rot90(COLOUR, turned))


def test_what_is_no_image_is_unreadable_with_a_reason(tmp_path):
    (tmp_path / "text.png").write_text("not an image", encoding="utf-8")
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        tmp_path / "whole.png"
    )
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "folder.png").mkdir()
    Image.fromarray(GRADIENT.astype(np.float32)).save(tmp_path / "float.tif")
    for name in ("text.png", "empty.png", "cut.png", "folder.png", "float.tif", "missing.png"):
        with pytest.raises(Unreadable) as caught:
            read_picture(tmp_path / name)
        assert str(caught.value) and "\n" not in str(caught.value)


def test_the_usual_kinds_are_known():
    assert {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".gif"} <= SUFFIXES
