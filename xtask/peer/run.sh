#!/bin/sh
# Compares with PyTorch (and JAX, where it is) on this machine's first GPU; results go to results/ beside this file.
# Needs python3 with PyTorch for CUDA 13, or PYTHON=/path/to/python3. Options: those of `bench peer`, for example
# --tf32, --case conv2_fc-paper-T32, --rounds 9.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
# The CUDA libraries that PyTorch came with; libcuda.so.1 is the driver's.
libraries=$("$PYTHON" - <<'X'
import glob, os
import importlib.util
found = []
for package in ("nvidia", "torch"):
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations if spec else []):
        for soname in ("libcublas.so.13", "libcurand.so.10"):
            found += map(os.path.dirname, glob.glob(os.path.join(folder, "**", soname), recursive=True))
print(":".join(dict.fromkeys(found)))
X
)
# Under its name only when it is whole.
if [ ! -x "$here/xtask" ]; then
    gzip -dc "$here/xtask.gz" >"$here/xtask.part"
    chmod +x "$here/xtask.part"
    mv "$here/xtask.part" "$here/xtask"
fi
export PYTHON
export LD_LIBRARY_PATH="$libraries${libraries:+${LD_LIBRARY_PATH:+:}}${LD_LIBRARY_PATH:-}"
missing=$(ldd "$here/xtask" | grep 'not found' | grep -v 'libcuda\.so' || true)
if [ -n "$missing" ]; then
    echo "$missing" >&2
    echo "$PYTHON has no PyTorch that brings these libraries: install PyTorch for CUDA 13, or name a folder with them in LD_LIBRARY_PATH" >&2
    exit 1
fi
exec "$here/xtask" bench peer --device cuda --packed "$@"
