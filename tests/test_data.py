import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffusion_lab import data


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", data.TOYS)
def test_toys_are_points_of_the_size_they_state_and_repeat_with_a_seed(name):
    points = data.TOYS[name](2000, seeded())
    assert points.shape == (2000, 2) and points.dtype == torch.float32 and points.isfinite().all()
    assert 0.5 < points.abs().max() < 1.15
    assert torch.equal(points, data.TOYS[name](2000, seeded()))
    assert not torch.equal(points, data.TOYS[name](2000, seeded(1)))
    for n in (0, -1, 2.5, True, "5"):
        with pytest.raises(ValueError, match=r"n must be an integer of at least 1"):
            data.TOYS[name](n)


def test_the_toys_have_their_shape():
    board = data.checkerboard(20_000, seeded())
    column, row = (2 * (board + 1)).floor().long().clamp(0, 3).unbind(1)
    assert ((column + row) % 2 == 0).all() and board.min() >= -1 and board.max() <= 1
    assert len(torch.unique(4 * row + column)) == 8

    radius = data.rings(20_000, seeded()).norm(dim=1)
    nearest = (radius / 0.3).round()
    assert (radius - 0.3 * nearest).abs().max() < 0.1
    shares = torch.bincount(nearest.long(), minlength=4)[1:] / 20_000
    assert torch.allclose(shares, torch.tensor([1 / 6, 2 / 6, 3 / 6]), atol=0.015)

    roll = data.swiss_roll(5000, seeded())
    turns = roll.norm(dim=1) * 4.5 / 0.9  # radius says the angle, in units of π …
    expected = torch.stack([torch.cos(torch.pi * turns), torch.sin(torch.pi * turns)], dim=1)
    angle_off = 1 - (expected * roll / roll.norm(dim=1, keepdim=True)).sum(1)
    assert angle_off.median() < 0.1  # … and the point is there

    moons = data.moons(20_000, seeded())
    on_upper = ((moons / 0.6 - torch.tensor([-0.5, -0.25])).norm(dim=1) - 1).abs() < 0.25
    on_lower = ((-moons / 0.6 - torch.tensor([-0.5, -0.25])).norm(dim=1) - 1).abs() < 0.25
    assert (on_upper | on_lower).all() and moons.mean(0).abs().max() < 0.02


def test_the_mixture_is_drawn_from_the_mixture_that_is_exact():
    truth = data.toy_mixture()
    points = data.mixture(50_000, seeded())
    mean = (truth.weights[:, None] * truth.means).sum(0)
    assert torch.allclose(points.mean(0).double(), mean, atol=0.01)
    # the entropy of what is drawn: a wrong std or weight shows in E[−log p]
    fresh = truth.sample(50_000, generator=seeded(1))
    assert truth.log_prob(points).mean().item() == pytest.approx(
        truth.log_prob(fresh).mean().item(), abs=0.03
    )


def test_digits_are_the_same_where_their_file_is_not_in_its_place(monkeypatch):
    images, labels = data.digits("test")
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    again, same = data.digits("test")
    assert torch.equal(images, again) and torch.equal(labels, same)


def test_the_digits_are_split_as_always():
    images, labels = {}, {}
    for split in ("train", "test"):
        images[split], labels[split] = data.digits(split)
        x, y = images[split], labels[split]
        assert x.shape[1:] == (1, 8, 8) and x.dtype == torch.float32 and y.dtype == torch.int64
        assert x.min() == -1 and x.max() == 1
        assert torch.equal((x + 1) * 8, ((x + 1) * 8).round())  # 17 grey levels
    assert len(labels["train"]) == 1437 and len(labels["test"]) == 360
    assert torch.bincount(labels["test"]).tolist() == [36, 36, 36, 36, 37, 36, 36, 36, 35, 36]

    rows = {split: [row.tobytes() for row in images[split].numpy()] for split in images}
    assert not set(rows["train"]) & set(rows["test"])

    from sklearn.datasets import load_digits

    pixels, target = load_digits(return_X_y=True)
    ours = sorted(
        (*row, label)
        for split in rows
        for row, label in zip(rows[split], labels[split].tolist(), strict=True)
    )
    theirs = (pixels / 8 - 1).astype(np.float32)
    assert ours == sorted((*row.tobytes(), label) for row, label in zip(theirs, target, strict=True))

    held_out = ((images["test"] + 1) * 8).to(torch.uint8).numpy().tobytes() + bytes(labels["test"].tolist())
    assert (
        hashlib.sha256(held_out).hexdigest()
        == "5ccada37b7bb7f1f6c82ce692240cdd85316d88108a076b814838b16b5a691e5"
    )


def test_digits_has_two_splits():
    with pytest.raises(ValueError, match=r'split must be "train" or "test"; got \'validation\''):
        data.digits("validation")


@settings(max_examples=30)
@given(
    n=st.integers(1, 3), side=st.integers(4, 9), channels=st.sampled_from([None, 1, 3]), last=st.booleans(),
    kind=st.sampled_from(["uint8", "unit", "signed"]), as_tensor=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_from_array_takes_every_layout_and_scale_to_the_same_images(
    n, side, channels, last, kind, as_tensor, seed
):
    grey = np.random.default_rng(seed).integers(0, 256, (n, channels or 1, side, side)).astype(np.uint8)
    expected = torch.from_numpy(grey / 127.5 - 1).float()
    array, value_range = {
        "uint8": (grey, None),
        "unit": (grey / 255, (0, 1)),
        "signed": (grey / 127.5 - 1, (-1, 1)),
    }[kind]
    array = array[:, 0] if channels is None else array.transpose(0, 2, 3, 1) if last else array
    images = data.from_array(torch.from_numpy(array.copy()) if as_tensor else array, value_range)
    assert images.dtype == torch.float32 and images.is_contiguous()
    assert torch.allclose(images, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "value_range", "message"),
    [
        (np.zeros((2, 8, 8), np.int64), None, "array must be uint8 or floating-point; got torch.int64"),
        (np.zeros((2, 8, 8)), None, r"value_range of a floating array must be .*; got None"),
        (np.zeros((2, 8, 8)), (0, 255), r"value_range .*; got \(0, 255\)"),
        (np.full((2, 8, 8), np.nan), (0, 1), "array must be finite; 128 values are not"),
        (np.full((2, 8, 8), 1.5), (0, 1), r"array must lie in \[0, 1\]; got values from 1.5 to 1.5"),
        (np.full((2, 8, 8), -0.5), (0, 1), r"array must lie in \[0, 1\]"),
        (np.zeros((8, 8), np.uint8), None, r"array must be \[N, H, W\].*; got shape \[8, 8\]"),
        (np.zeros((0, 8, 8), np.uint8), None, r"array must be \[N, H, W\].*; got shape \[0, 8, 8\]"),
        (np.zeros((64, 64, 3), np.uint8), None, r"\[64, 64, 3\] looks like a single .*: give array\[None\]"),
        (np.zeros((9, 8, 1), np.uint8), None, r"array must be \[N, H, W\].*\[9, 8, 1\] looks like a single"),
        (np.zeros((2, 8, 8, 4), np.uint8), None, r"1 or 3 channels, second or last.*got \[2, 8, 8, 4\]"),
        (np.zeros((2, 3, 8, 3), np.uint8), None, r"1 or 3 channels, second or last.*got \[2, 3, 8, 3\]"),
    ],
)
def test_from_array_says_what_is_wrong(array, value_range, message):
    with pytest.raises(ValueError, match=message):
        data.from_array(array, value_range)


def save_image(path, width=8, height=8, colour=(255, 0, 0), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path, **options)


def test_from_folder_reads_classes_in_alphabetical_order(tmp_path):
    save_image(tmp_path / "dogs" / "1.png", 20, 10, (255, 0, 0))
    save_image(tmp_path / "dogs" / "2.PNG", 10, 30, (0, 255, 0))
    save_image(tmp_path / "cats" / "1.bmp", 9, 9, (0, 0, 255))
    save_image(tmp_path / ".ipynb_checkpoints" / "1.png")
    save_image(tmp_path / "dogs" / "._1.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "dogs" / "Thumbs.db").write_bytes(b"not an image")
    images, labels = data.from_folder(tmp_path, size=8)
    assert images.shape == (3, 3, 8, 8) and images.dtype == torch.float32
    assert labels.tolist() == [0, 1, 1]
    assert images[:, :, 0, 0].tolist() == [[-1, -1, 1], [1, -1, -1], [-1, 1, -1]]
    assert torch.equal(data.from_folder(str(tmp_path), size=8)[0], images)


def test_from_folder_without_classes_has_no_labels_and_crops_the_middle(tmp_path):
    stripes = np.zeros((8, 16, 3), np.uint8)
    stripes[:, 4:12] = 255  # the middle square is white
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    images, labels = data.from_folder(tmp_path, channels=1)
    assert labels is None and images.shape == (1, 1, 8, 8) and (images == 1).all()


def test_from_folder_turns_photographs_upright(tmp_path):
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[0] = 255  # top row white; orientation 3 says: upside down
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    images, _ = data.from_folder(tmp_path, channels=1)
    assert (images[0, 0, -1] == 1).all() and (images[0, 0, 0] == -1).all()


def test_from_folder_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"path must be a folder of images; got '.*missing'"):
        data.from_folder(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"path must hold images .* got none"):
        data.from_folder(tmp_path)
    save_image(tmp_path / "a.png", 8, 8)
    with pytest.raises(ValueError, match="path must be a folder"):
        data.from_folder(tmp_path / "a.png")
    with pytest.raises(ValueError, match="channels must be 1 or 3; got 2"):
        data.from_folder(tmp_path, channels=2)
    with pytest.raises(ValueError, match="size must be an integer of at least 1; got 0"):
        data.from_folder(tmp_path, size=0)
    save_image(tmp_path / "b.png", 9, 12)
    with pytest.raises(ValueError, match=r"size must be given .* 'a.png' has side 8, 'b.png' has 9"):
        data.from_folder(tmp_path)
    save_image(tmp_path / "class" / "c.png")
    with pytest.raises(ValueError, match="got both"):
        data.from_folder(tmp_path, size=8)


@pytest.mark.parametrize("content", [b"", b"no image at all", "half"])
def test_from_folder_names_the_file_it_cannot_read(tmp_path, content):
    save_image(tmp_path / "good.png", 32, 32)
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(ValueError, match=r"cannot read '.*torn\.png'"):
        data.from_folder(tmp_path, size=8)


def test_from_folder_does_not_cut_16_bits_off(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"cannot read '.*deep\.png': .*8 bits"):
        data.from_folder(tmp_path)
