"""ImageNet as it comes: Kaggle's layout, the development kit, names of classes; and some of its classes."""

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from taurank.trainables.data import DataError, load_dataset, read_classes

SYNSETS = ("n01440764", "n01443537", "n02102040")
VAL = ("n02102040", "n01440764", "n01443537", "n02102040")
"""Classes of the validation images, by their numbers."""


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((9, 9, 3), value, np.uint8))


def flat(root, *, val=VAL):
    """Training images in folders of synsets, and validation images in none; image i of `val` is grey i."""
    for place, synset in enumerate(SYNSETS):
        for number in range(2):
            write(root / "train" / synset / f"{synset}_{number}.JPEG", 100 + 50 * place)
    for number in range(1, len(val) + 1):
        write(root / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", 10 * number)
    return root


def kit(folder, numbers, *, meta=True):
    """A development kit whose numbers are in another order than the synsets."""
    folder.mkdir(parents=True)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(map(str, numbers)) + "\n")
    if meta:
        fields = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
        rows = [(1, "n02102040", "springer", 0), (2, "n01440764", "tench", 0), (3, "n01443537", "goldfish", 0)]
        high = (4, "n00001740", "entity", 2)
        savemat(folder / "meta.mat", {"synsets": np.array([*rows, high], fields).reshape(-1, 1)})


def load(path, name="", **settings):
    return load_dataset(f"imagenet:{path}{name}", size=8, cache=path / "cache", **settings)


def labels_of(found, by):
    """Classes of the test images, by their grey values."""
    return [found.classes[label] for label in found.test.labels[np.argsort(found.test.images[:, 0, 0, 0])]] == list(by)


@pytest.mark.parametrize("place", ["", "ILSVRC2012_devkit_t12/data", "../ILSVRC2012_devkit_t12/data"])
def test_the_development_kit_labels_a_flat_val(tmp_path, place):
    root = flat(tmp_path / "set")
    folder = (root / place).resolve()
    kit(folder if place else root / "devkit", [1, 2, 3, 1])
    assert labels_of(load(root), VAL)


def test_the_numbers_count_and_not_the_order_of_those_that_are_there(tmp_path):
    root = flat(tmp_path)
    (root / "val" / "ILSVRC2012_val_00000002.JPEG").unlink()
    kit(root / "devkit", [1, 2, 3, 1])
    assert labels_of(load(root), (VAL[0], *VAL[2:]))


def test_the_table_of_later_kits(tmp_path):
    root = flat(tmp_path)
    kit(root / "devkit", [1, 2, 3, 1], meta=False)
    (root / "devkit" / "map_clsloc.txt").write_text("n02102040 1 springer\nn01440764 2 tench\nn01443537 3 goldfish\n")
    assert labels_of(load(root), VAL)


def test_kaggle_as_it_is_unpacked(tmp_path):
    flat(tmp_path / "ILSVRC" / "Data" / "CLS-LOC")
    (tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "test").mkdir()
    rows = "".join(f"ILSVRC2012_val_{place:08d},{synset} 1 2 3 4\n" for place, synset in enumerate(VAL, start=1))
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + rows)
    (tmp_path / "LOC_synset_mapping.txt").write_text(
        "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\nn02102040 English springer\n"
    )
    for root in (tmp_path, tmp_path / "ILSVRC" / "Data" / "CLS-LOC"):
        found = load(root)
        assert found.classes == ("n01440764 tench", "n01443537 goldfish", "n02102040 English springer")
        named = dict(zip(SYNSETS, found.classes, strict=True))
        assert labels_of(found, [named[synset] for synset in VAL])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda root: None, "val has images but no synset folders; sort them into some, or put LOC_val_solution.csv"),
        (lambda root: kit(root / "devkit", [1, 2, 3, 1], meta=False), "has no meta.mat, which says which synset"),
        (lambda root: kit(root / "devkit", [1, 2]), "has no synset for val/ILSVRC2012_val_00000003.JPEG"),
        (lambda root: kit(root / "devkit", [1, 2, 3, 9]), "has no synset for val/ILSVRC2012_val_00000004.JPEG"),
        (lambda root: kit(root / "devkit", [1, 2, 3, 4]), "has the class 'n00001740', which train lacks"),
        (lambda root: damaged(root), "meta.mat: is not that of a development kit"),
        (
            lambda root: (root / "LOC_val_solution.csv").write_text("ImageId\nILSVRC2012_val_00000001\n"),
            "LOC_val_solution.csv: has no synset for val/ILSVRC2012_val_00000001.JPEG",
        ),
    ],
)
def test_labels_that_are_missing_are_one_line(tmp_path, harm, said):
    root = flat(tmp_path)
    harm(root)
    with pytest.raises(DataError, match=said) as caught:
        load(root)
    assert "\n" not in str(caught.value)


def damaged(root):
    kit(root / "devkit", [1, 2, 3, 1])
    (root / "devkit" / "meta.mat").write_bytes(b"no matrix at all" * 20)


# --- some of the classes


@pytest.fixture
def whole(tmp_path):
    root = flat(tmp_path / "set")
    kit(root / "devkit", [1, 2, 3, 1])
    return root


def test_the_first_classes(whole):
    found = load(whole, "#2")
    assert found.classes == SYNSETS[:2]
    assert found.train.labels.tolist() == [0, 0, 1, 1]
    assert labels_of(found, VAL[1:3])


@pytest.mark.parametrize("wanted", [["n02102040", "n01440764"], ["n02102040 springer, dog", "n01440764 tench"]])
def test_classes_by_name_are_in_the_order_of_all(whole, wanted):
    found = load(whole, classes=wanted)
    assert found.classes == ("n01440764", "n02102040")
    assert found.train.images[:, 0, 0, 0].tolist() == [100, 100, 200, 200]
    assert labels_of(found, [VAL[0], VAL[1], VAL[3]])


def test_a_file_of_classes(tmp_path):
    (tmp_path / "list.txt").write_text("n02102040\n\n n01440764 tench\n")
    assert read_classes(tmp_path / "list.txt") == ["n02102040", "n01440764 tench"]
    (tmp_path / "empty.txt").write_text("\n")
    for name, said in (("empty.txt", "names no class"), ("gone.txt", "cannot be read")):
        with pytest.raises(DataError, match=said):
            read_classes(tmp_path / name)


def test_published_and_archived_sets_too(tmp_path):
    assert load_dataset("digits", classes=3).classes == ("0", "1", "2")
    assert set(load_dataset("digits", classes=["7", "3"]).train.labels.tolist()) == {0, 1}
    np.savez(tmp_path / "own.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.array([2, 5, 9, 9]))
    assert load_dataset(f"npz:{tmp_path / 'own.npz'}#2").classes == ("2", "5")


@pytest.mark.parametrize(
    ("name", "classes", "said"),
    [
        ("#1", None, "1 classes are asked for; it has 3, and takes at least 2"),
        ("#4", None, "4 classes are asked for; it has 3"),
        ("#ten", None, "#ten is no number of classes; write #100, or list classes in data.classes"),
        ("#2", 2, "#2 and data.classes both choose classes; omit one"),
        ("", ["n01440764"], "has to name at least 2 classes, each once"),
        ("", ["n01440764", "n01440764 tench"], "has to name at least 2 classes, each once"),
        ("", ["n01440764", "n01440765"], "has no class 'n01440765'; did you mean 'n01440764'"),
    ],
)
def test_classes_that_are_not_there(whole, name, classes, said):
    with pytest.raises(DataError, match=said) as caught:
        load(whole, name, classes=classes)
    assert "\n" not in str(caught.value)


def test_a_folder_whose_name_ends_so_is_read_as_before(tmp_path):
    root = flat(tmp_path / "set#2", val=())
    found = load_dataset(f"folder:{root / 'train'}", size=8, cache=tmp_path / "cache")
    assert found.classes == SYNSETS
