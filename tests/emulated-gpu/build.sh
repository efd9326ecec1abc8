#!/usr/bin/env bash
# build.sh OUT_DIR [--sources DIR]: builds the emulated GPU into OUT_DIR (see README.md).
# DIR holds the `.cu` files [default: gtn-core/src of this checkout]. CUDA_HOME names a CUDA 13 toolkit, for cuda.h.
set -euo pipefail
usage="usage: $0 OUT_DIR [--sources DIR]"
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?$usage}
sources=$here/../../gtn-core/src
[ $# -eq 1 ] || { [ $# -eq 3 ] && [ "$2" = --sources ] || { echo "$usage" >&2; exit 2; }; sources=$3; }
sources=$(cd "$sources" && pwd)
: "${CUDA_HOME:?must name a CUDA 13 toolkit, for its include/cuda.h}"
mkdir -p "$out/kernels" "$out/build"
out=$(cd "$out" && pwd)

# candle's kernels, and the names of all CUDA functions that cudarc declares.
package() {
  cargo metadata --format-version 1 --all-features --manifest-path "${MANIFEST:-$here/../../Cargo.toml}" |
    grep -oE "\"[^\"]*/$1-[0-9][^\"/]*/Cargo.toml\"" | head -1 | tr -d '"' | xargs dirname
}
candle=$(package candle-kernels)
cudarc=$(package cudarc)

flags=(-std=c++17 -O3 -march=native -fPIC -shared -Wl,-Bsymbolic -w)

# 1. One library for each `.cu` file, which holds its kernels and a table of them.
kernels() { # source
  local source=$1 name
  name=$(echo "${source#"$(dirname "$(dirname "$source")")"/}" | tr / - )
  local unit=$out/build/${name%.cu}.cpp library=$out/kernels/${name%.cu}.so
  # C++ has no arrays of unknown size on the stack, which is what dynamic shared memory would have to be.
  sed -E 's/extern __shared__ ([A-Za-z0-9_ ]+) ([A-Za-z0-9_]+)\[\];/\1 *\2 = (\1 *)emulated_dynamic_shared;/' "$source" >"$unit.new"
  local compile=(g++ "${flags[@]}" -fvisibility=hidden -fno-gnu-unique -include "$here/include/kernel_shim.h" -I"$here/include" -I"$(dirname "$source")" -I"$sources")
  local names
  names=$("${compile[@]}" -E -P -x c++ "$unit.new" | tr '\n' ' ' |
    grep -oE 'extern "C" __attribute__\(\(used\)\) +void +[A-Za-z0-9_]+' | sed 's/.* //')
  {
    echo "static const Kernel kernels[] = {"
    for kernel in $names; do echo "    emulated::Entry<$kernel>::kernel(\"$kernel\"),"; done
    echo "};"
    echo "extern \"C\" __attribute__((visibility(\"default\"))) const KernelModule emulated_module = {"
    echo "    \"$(basename "$source")\", kernels, sizeof kernels / sizeof *kernels, emulated::begin_launch, emulated::begin_block};"
  } >>"$unit.new"
  # Headers may have changed, too: what is compared is the source as the compiler sees it.
  "${compile[@]}" -E -P -x c++ "$unit.new" >"$unit.seen.new"
  if [ ! -e "$library" ] || ! cmp -s "$unit.seen.new" "$unit.seen"; then
    "${compile[@]}" -o "$library" -x c++ "$unit.new"
    mv "$unit.seen.new" "$unit.seen"
  fi
  echo "$library" >>"$out/build/kept"
}
: >"$out/build/kept"
running=0
for source in "$candle"/src/{affine,binary,cast,conv,fill,indexing,reduce,sort,ternary,unary}.cu $(find "$sources" -name '*.cu' | sort); do
  kernels "$source" &
  running=$((running + 1))
  if [ $running -ge "$(nproc)" ]; then wait -n; running=$((running - 1)); fi
done
while [ $running -gt 0 ]; do wait -n; running=$((running - 1)); done
# Those of sources that are gone.
for library in "$out"/kernels/*.so; do grep -qxF "$library" "$out/build/kept" || rm "$library"; done

# 2. The libraries. A function that is not emulated says so and fails.
library() { # soname, cudarc's module, code of its error "not supported", sources
  local soname=$1 module=$2 code=$3
  shift 3
  {
    echo 'void emulated_missing(const char *);'
    grep -ohE '\bfn (cu|nvrtc)[A-Za-z0-9_]+' "$cudarc/src/$module/sys/mod.rs" | sort -u |
      awk -v code="$code" '{print "__attribute__((weak)) int " $2 "(void) { emulated_missing(\"" $2 "\"); return " code "; }"}'
  } >"$out/build/$module-stubs.c"
  gcc -O1 -fPIC -w -c -o "$out/build/$module-stubs.o" "$out/build/$module-stubs.c"
  local others=()
  [ "$soname" = libcuda.so.1 ] || others=("$out/libcuda.so.1" -Wl,-rpath,'$ORIGIN')
  g++ "${flags[@]}" -I"$CUDA_HOME/include" -Wl,-soname,"$soname" -o "$out/$soname" "$@" "$out/build/$module-stubs.o" \
    "${others[@]}" -ldl
}
library libcuda.so.1 driver 801 "$here"/{driver,launch,memory,report}.cpp
library libcublas.so.13 cublas 15 "$here/cublas.cpp" &
library libcublasLt.so.13 cublaslt 15 &
library libcurand.so.10 curand 105 "$here/curand.cpp" &
library libnvrtc.so.13 nvrtc 5 &
wait
cp -L "$CUDA_HOME"/lib/libcudart.so.13 "$out/"
echo "built; run programs with LD_LIBRARY_PATH=$out"
