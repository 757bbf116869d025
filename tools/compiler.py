"""Can PYTHON compile a C extension here? Exit status 0 if so; else it says on one line what is missing.

Asked by compiling one: a compiler without the headers of the C library, or without Python.h, is of no use.
With the argument "packages": which Debian packages bring what is missing, so far as Debian has them for this
interpreter.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SOURCE = "#include <stdlib.h>\n#include <Python.h>\nint probe(void) { return Py_IsInitialized(); }\n"


def headers() -> bool:
    """Whether this interpreter came with its headers."""
    return (Path(sysconfig.get_path("include")) / "Python.h").exists()


def compiles(source: str) -> bool:
    """Compile as setuptools would: with the compiler that Python was built with, unless CC names another."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    folders = {sysconfig.get_path(name) for name in ("include", "platinclude")}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "probe.c").write_text(source)
        command = [*compiler, *(f"-I{path}" for path in sorted(folders)), "-c", "probe.c", "-o", "probe.o"]
        try:
            return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
        except OSError:
            return False


def main() -> int:
    if compiles(SOURCE):
        return 0
    missing = []
    packages = []
    if not compiles("#include <stdlib.h>\n"):
        missing.append("C compiler")
        packages += ["gcc", "libc6-dev"]
    if not headers():
        missing.append(f"headers of {sys.executable}")
        # Debian's own interpreter is in /usr. Any other brings its headers itself, or there are none.
        if sys.base_prefix == "/usr":
            packages.append(f"python{sys.version_info[0]}.{sys.version_info[1]}-dev")
    if sys.argv[1:] == ["packages"]:
        print(*packages)
    else:
        print(", ".join(missing) or "C compiler that takes Python.h")
    return 1


if __name__ == "__main__":
    sys.exit(main())
