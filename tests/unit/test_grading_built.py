"""An image's size and files out of a saved archive, whatever store the engine keeps its layers in."""

import gzip
import io
import json
import tarfile

import pytest

from hello_k8s.grading.built import BuiltImage, Layer, merged, read_archive
from hello_k8s.grading.containers import Container
from hello_k8s.grading.verdict import Unmet
from hello_k8s.machine.engine import Engine


def layer(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("usr")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, size in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = size
            archive.addfile(info, io.BytesIO(b"x" * size))
    return buffer.getvalue()


def archive(members, manifest):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as saved:
        for name, data in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                saved.addfile(info)
            else:
                info.size = len(data)
                saved.addfile(info, io.BytesIO(data))
    return io.BytesIO(buffer.getvalue())


CONFIG = json.dumps({"config": {"User": "1"}, "history": [{"created_by": "COPY"}]}).encode()


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["unpacked", "compressed"])
def test_size_is_that_of_the_uncompressed_layers(pack):
    members = {
        "blobs/sha256/aa": pack(layer(bin__go=30_000, etc__passwd=10)),
        "blobs/sha256/bb": pack(layer(app=500)),
        "blobs/sha256/cc": CONFIG,
        "index.json": b"{}",
    }
    manifest = [{"Config": "blobs/sha256/cc", "Layers": ["blobs/sha256/aa", "blobs/sha256/bb"]}]
    layers, config = read_archive(archive(members, manifest))
    assert [each.size for each in layers] == [30_010, 500]
    assert layers[0].entries == ("usr", "bin/go", "etc/passwd")
    assert config["history"][0]["created_by"] == "COPY"


def test_an_older_archive_links_to_a_layer_it_has_already():
    members = {"a/layer.tar": layer(app=7), "b/layer.tar": "../a/layer.tar", "cc.json": CONFIG}
    layers, _ = read_archive(archive(members, [{"Config": "cc.json", "Layers": ["a/layer.tar", "b/layer.tar"]}]))
    assert [each.size for each in layers] == [7, 7]


def test_a_layer_that_looks_like_json_and_one_with_nothing():
    members = {"a": layer(**{"{": 600}), "b": layer(), "c.json": CONFIG}
    layers, _ = read_archive(archive(members, [{"Config": "c.json", "Layers": ["a", "b"]}]))
    assert [each.size for each in layers] == [600, 0]


def _cut(data):
    return data[:-9000]


def _flipped(data):
    """A damaged header in the middle, which tarfile takes for the end."""
    at = data.index(b"usr/local/go")
    return data[:at] + b"?" + data[at + 1 :]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["unpacked", "compressed"])
@pytest.mark.parametrize("damage", [_cut, _flipped])
def test_a_damaged_layer_is_not_a_smaller_one(pack, damage):
    damaged = damage(layer(etc__passwd=10, usr__local__go=30_000))
    members = {"a": pack(damaged), "c.json": CONFIG}
    with pytest.raises(tarfile.ReadError):
        read_archive(archive(members, [{"Config": "c.json", "Layers": ["a"]}]))


def test_a_blob_that_is_no_layer_is_left_out():
    members = {"a": layer(app=7), "b": b"an attestation".ljust(2000, b"."), "c.json": CONFIG}
    layers, _ = read_archive(archive(members, [{"Config": "c.json", "Layers": ["a"]}]))
    assert [each.size for each in layers] == [7]


def test_a_layer_without_an_end_is_whole():
    """Not everything that writes layers ends them with two empty blocks."""
    data = layer(app=500)
    members = {"a": data[: 512 * 3], "c.json": CONFIG}
    layers, _ = read_archive(archive(members, [{"Config": "c.json", "Layers": ["a"]}]))
    assert [each.size for each in layers] == [500]


def test_what_is_no_archive():
    with pytest.raises(tarfile.ReadError):
        read_archive(io.BytesIO(b"no"))
    with pytest.raises(ValueError, match="manifest"):
        read_archive(_without_manifest())


def _without_manifest():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as saved:
        info = tarfile.TarInfo("x.json")
        info.size = 2
        saved.addfile(info, io.BytesIO(b"{}"))
    return io.BytesIO(buffer.getvalue())


def test_deleted_files_are_gone_from_view_and_stay_in_their_layer():
    layers = (
        Layer(3, ("usr", "usr/local/go", "usr/local/go/bin/go", "etc/a", "etc/b")),
        Layer(0, ("usr/local/.wh.go", "etc/.wh..wh..opq", "etc/c")),
    )
    assert merged(layers) == {"usr", "etc/c"}
    assert "usr/local/go/bin/go" in layers[0].entries


def test_an_image_without_a_file_has_no_size(monkeypatch):
    monkeypatch.setenv("HELLO_K8S_LANG", "en")
    monkeypatch.setattr(BuiltImage, "_unpacked", lambda self: ((), {"config": {"User": "1"}}))
    image = BuiltImage(Engine(("true", "docker"), "nested"), "empty")
    for ask in (lambda: image.size, image.files):
        with pytest.raises(Unmet, match="empty"):
            ask()
    assert image.user == "1"


def test_a_description_too_long_to_be_read_is_the_images_own(tmp_path):
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nprintf '[{\"Config\":{\"Labels\":{\"x\":\"'\nhead -c 3000000 /dev/zero | tr '\\0' x\n"
                      "printf '\"}},\"Id\":1}]\\n'\n")  # fmt: skip
    docker.chmod(0o755)
    engine = Engine((str(docker),))
    with pytest.raises(Unmet, match="larger than 1 MiB"):
        BuiltImage(engine, "x").inspected  # noqa: B018
    with pytest.raises(Unmet, match="larger than 1 MiB"):
        Container(engine, "x").inspect()
