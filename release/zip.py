"""zip.py FILE FOLDER SECONDS: packs the files of a folder into a zip that depends only on SECONDS and on the names, modes and
content.

The times in a zip are local times; here they are UTC."""

import sys
import time
import zipfile
from pathlib import Path

file, folder, seconds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
UNIX = 3
with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), time.gmtime(seconds)[:6])
        entry.create_system, entry.compress_type = UNIX, zipfile.ZIP_DEFLATED
        entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
        archive.writestr(entry, path.read_bytes())
