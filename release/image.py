"""image.py ARCHIVE FOLDER TAG: unpacks an image of buildah (docker-archive) into FOLDER and removes its random parts.

The configuration of each build contains a random container and a random host name, so no two images would be equal. The
configuration is named by its digest, so it gets another name. The files for Docker before 1.10 are left out."""

import hashlib
import json
import sys
import tarfile
from pathlib import Path

archive, folder, tag = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
with tarfile.open(archive) as files:
    (manifest,) = json.load(files.extractfile("manifest.json"))
    config = json.load(files.extractfile(manifest["Config"]))
    for name in ("container", "container_config"):
        config.pop(name, None)
    config["config"].pop("Hostname", None)
    text = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    manifest["Config"] = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest["RepoTags"] = [tag]
    for layer in manifest["Layers"]:
        (folder / layer).write_bytes(files.extractfile(layer).read())
(folder / manifest["Config"]).write_bytes(text)
(folder / "manifest.json").write_text(json.dumps([manifest], sort_keys=True))
