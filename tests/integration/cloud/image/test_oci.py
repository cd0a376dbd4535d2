"""Layers of an OCI image become one root: nothing is lost, nothing hidden comes back, and no file
of theirs is ever written outside.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from bailee.cloud.image import oci
from bailee.errors import BaileeError, InputError, IntegrityError
from support.machines.ocilayout import layout, tar


def merged(folder: Path, *layers: bytes) -> dict[str, bytes | str | None]:
    """What comes out of a layout with these layers, as `ocilayout.tar` takes it."""
    out = io.BytesIO()
    work = folder / "work"
    work.mkdir()
    oci.write(oci.layers(layout(folder / "layout", layers)), out, work)
    out.seek(0)
    found: dict[str, bytes | str | None] = {}
    with tarfile.open(fileobj=out) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            found[member.name] = (
                stream.read() if stream else member.linkname if member.issym() else None
            )
            assert (0, 7, 0o755) == (member.mtime, member.uid, member.mode)
    return found


def test_later_layers_replace_and_whiteouts_remove(tmp_path: Path) -> None:
    """Replaced, removed, emptied: what is below a whiteout is gone, what is beside it stays."""
    first = tar({"a": b"1", "d": None, "d/x": b"x", "d/y": b"y", "e": None, "e/z": b"z"})
    second = tar({"./a": b"2", "d/.wh.x": b"", "e/.wh..wh..opq": b"", "e/new": b"n"})

    assert {"a": b"2", "d": None, "d/y": b"y", "e": None, "e/new": b"n"} == merged(
        tmp_path, first, second
    )


def test_a_folder_that_becomes_a_file_takes_what_was_in_it_along(tmp_path: Path) -> None:
    """The kind of a name may change from layer to layer."""
    assert {"d": b"file"} == merged(tmp_path, tar({"d": None, "d/x": b"x"}), tar({"d": b"file"}))


def test_links_among_folders_are_followed_within_the_image(tmp_path: Path) -> None:
    """A file below a link lies where the link leads, counted from the image's own root."""
    first = tar({"usr/bin": None, "bin": "usr/bin", "etc": "/usr/../../bin"})
    second = tar({"bin/sh": b"shell", "etc/passwd": b"theirs"})

    assert {
        "usr/bin": None,
        "bin": "usr/bin",
        "etc": "/usr/../../bin",
        "usr/bin/sh": b"shell",
        "usr/bin/passwd": b"theirs",
    } == merged(tmp_path, first, second)


@pytest.mark.parametrize(
    "layer",
    [
        {"../outside": b"x"},
        {"a/../../b": b"x"},
        {"x": "y", "y": "x", "x/file": b"x"},
    ],
)
def test_a_file_outside_of_the_root_is_refused(
    tmp_path: Path, layer: dict[str, bytes | str | None]
) -> None:
    """Dots that lead out and links in a circle are the image's fault, and said to be."""
    with pytest.raises(InputError):
        merged(tmp_path, tar(layer))


def test_a_file_that_is_not_what_it_should_be_is_refused(tmp_path: Path) -> None:
    """Every file is checked against its digest before it is read."""
    folder = layout(tmp_path, [tar({"a": b"1"})])
    largest = max((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes() + b"x")

    with pytest.raises(IntegrityError):
        oci.layers(folder)


def test_a_folder_that_is_no_layout_is_said_to_be_none(tmp_path: Path) -> None:
    """The hint says how to make one."""
    with pytest.raises(BaileeError, match="not an OCI image layout") as caught:
        oci.layers(tmp_path)
    assert "skopeo" in str(caught.value.hint)


@pytest.mark.parametrize(
    "index",
    [
        None,
        "manifests",
        {},
        *({"manifests": value} for value in (None, "x", {"digest": "x"}, ["x"], [{}])),
        {"manifests": [{"digest": 7, "platform": "linux"}]},
    ],
)
def test_an_index_of_another_form_is_refused(tmp_path: Path, index: object) -> None:
    """Whatever JSON it is, the layout is at fault, and nothing breaks."""
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="OCI"):
        oci.layers(tmp_path)


@pytest.mark.parametrize("layers", [None, "x", {"digest": "x"}, ["x"], [{"mediaType": "x"}]])
def test_no_layer_is_left_out_for_its_form(tmp_path: Path, layers: object) -> None:
    """An image without it would be another one."""
    folder = layout(tmp_path, [tar({"a": b"1"})])
    blobs = folder / "blobs" / "sha256"
    manifest = json.dumps({"layers": layers}).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    (blobs / digest).write_bytes(manifest)
    index = {"manifests": [{"mediaType": "image.manifest", "digest": f"sha256:{digest}"}]}
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="not an OCI image layout"):
        oci.layers(folder)
