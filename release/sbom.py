"""sbom.py PACKAGE TARGET VERSION SECONDS: prints the crates of a program as CycloneDX 1.5 (JSON).

`cargo tree` gives the crates of one package for one target; `cargo metadata` gives only those of all packages of the workspace
together. The licences and the edges come from the latter, the checksums from Cargo.lock."""

import json
import subprocess
import sys
import time
import tomllib
import uuid
from pathlib import Path

package, target, version, seconds = sys.argv[1:]
ROOT = Path(__file__).resolve().parents[1]


def cargo(*arguments):
    done = subprocess.run(["cargo", *arguments, "--locked"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def key(name, number):
    return f"pkg:cargo/{name}@{number}"


tree = cargo("tree", "--package", package, "--target", target, "--edges", "normal,build", "--prefix", "none", "--format", "{p}")
inside = set()
for line in tree.splitlines():
    # A crate that was listed before ends in "(*)"; one with a build script or a macro has a mark, too.
    if line.strip():
        name, number, *_ = line.split()
        inside.add(key(name, number.removeprefix("v")))

metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
by_id = {each["id"]: key(each["name"], each["version"]) for each in metadata["packages"]}
lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
checksums = {key(each["name"], each["version"]): each.get("checksum") for each in lock["package"]}
own = {key(each["name"], each["version"]) for each in metadata["packages"] if each["source"] is None}


def component(each):
    reference = key(each["name"], each["version"])
    number = version if reference in own else each["version"]
    found = {"type": "library", "bom-ref": reference, "name": each["name"], "version": number, "purl": key(each["name"], number)}
    if each["description"]:
        found["description"] = " ".join(each["description"].split())
    if each["license"]:
        found["licenses"] = [{"expression": each["license"].replace("/", " OR ")}]
    if checksums.get(reference):
        found["hashes"] = [{"alg": "SHA-256", "content": checksums[reference]}]
    return found


components = {reference: component(each) for each in metadata["packages"] if (reference := by_id[each["id"]]) in inside}
missing = inside - components.keys()
assert not missing, f"cargo metadata does not know {sorted(missing)}"
main = next(reference for reference in own if reference.startswith(f"pkg:cargo/{package}@"))
edges = {
    by_id[node["id"]]: sorted({by_id[to["pkg"]] for to in node["deps"] if any(kind["kind"] != "dev" for kind in to["dep_kinds"])} & inside)
    for node in metadata["resolve"]["nodes"]
    if by_id[node["id"]] in inside
}
bom = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds))),
        "component": components.pop(main) | {"type": "application"},
        "properties": [{"name": "cargo:target", "value": target}],
    },
    "components": [components[reference] for reference in sorted(components)],
    "dependencies": [{"ref": reference, "dependsOn": edges[reference]} for reference in sorted(edges)],
}
# Equal content gives an equal serial number.
bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))}"
print(json.dumps(bom, indent=1, sort_keys=True))
