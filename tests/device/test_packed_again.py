"""A bundle that was unpacked and packed again between the mail and the device."""

import zipfile

import pytest

from home import Owner

BOM = b"\xef\xbb\xbf"
WAYS = {
    "deflated": lambda thing, name: name,
    "in a folder": lambda thing, name: f"{thing}/{name}",
    "in a folder, on Windows": lambda thing, name: f"{thing}\\{name}",
}


def packed_again(mailed, where, to, method=zipfile.ZIP_DEFLATED, bom=False, beside=()):
    with zipfile.ZipFile(mailed) as old, zipfile.ZipFile(to, "w", method) as new:
        for name in beside:
            new.writestr(name, b"\x00\x05\x16\x07")
        for name in old.namelist():
            content = old.read(name)
            new.writestr(where(mailed.stem, name), BOM + content if bom and name == "connection.json" else content)
    return to


@pytest.mark.parametrize("way", WAYS)
def test_a_repacked_bundle_can_be_installed(hub, agent, tmp_path, way):
    ana = Owner(hub).links()
    mailed = ana.mail()
    beside = [f"__MACOSX/{mailed.stem}/._connection.json", f"{mailed.stem}/.DS_Store"] if way == "in a folder" else []
    again = packed_again(mailed, WAYS[way], tmp_path / "again.zip", bom=True, beside=beside)
    assert ana.thing()["thing"] in agent.do("setup", str(again))
    agent.run().is_("connected")


def test_the_error_names_the_fault_of_a_repacked_bundle(hub, agent, tmp_path):
    mailed = Owner(hub).links().mail()
    inside = tmp_path / "inside.zip"
    with zipfile.ZipFile(inside, "w") as outer:
        outer.write(mailed, mailed.name)
    agent.fails(3, f"another zip in it, {mailed.name}: unpack that one", "setup", str(inside))
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = packed_again(mailed, WAYS["deflated"], tmp_path / "packed.zip", method)
        agent.fails(3, "packed by a method that is not known here", "setup", str(packed))
