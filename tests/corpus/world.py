"""Makes what the set of components finds in the world: `world.py DIRECTORY`.

DIRECTORY/served/simple/acme-sensors/: a package index (PEP 503) with one wheel
DIRECTORY/served/model.bin: 14 bytes
DIRECTORY/acme-tool.deb: a Debian package with one command
"""

import base64
import hashlib
import pathlib
import subprocess
import sys
import zipfile

out = pathlib.Path(sys.argv[1])


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def wheel(directory):
    name = "acme_sensors-0.1.0-py3-none-any.whl"
    info = "acme_sensors-0.1.0.dist-info"
    files = {
        "acme_sensors/__init__.py": "def read():\n    return 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: acme-sensors\nVersion: 0.1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: world\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(directory / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    write(directory / "index.html", f'<!DOCTYPE html><a href="{name}">{name}</a>\n')


def debian_package(file):
    tree = out / "acme-tool"
    control = (
        "Package: acme-tool\nVersion: 1.0\nArchitecture: all\n"
        "Maintainer: Acme <acme@example.com>\nDescription: a command\n"
    )
    write(tree / "DEBIAN/control", control)
    write(tree / "usr/bin/acme-tool", "#!/bin/sh\necho the tool of acme\n", 0o755)
    # gzip: the fence may have a dpkg that knows nothing newer.
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, file]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


index = out / "served/simple/acme-sensors"
index.mkdir(parents=True)
wheel(index)
write(out / "served/model.bin", "model 42424242")
debian_package(out / "acme-tool.deb")
