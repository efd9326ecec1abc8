#!/usr/bin/env bash
# build.sh OUT_DIR [--sources DIR]: builds the emulated GPU into OUT_DIR (see README.md).
# DIR holds cuda/kernels.cu [default: gtn-core/src of this checkout]. CUDA_HOME names a CUDA 13 toolkit, for cuda.h.
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
build=$out/build

# candle's kernels, and the names of all CUDA functions that cudarc declares.
host=$(rustc -vV | sed -n 's/^host: //p')
package() {
  cargo metadata --format-version 1 --features cuda --filter-platform "$host" --manifest-path "$sources/../Cargo.toml" |
    grep -oE "\"[^\"]*/$1-[0-9][^\"/]*/Cargo.toml\"" | head -1 | tr -d '"' | xargs dirname
}
candle=$(package candle-kernels)
cudarc=$(package cudarc)

flags=(-std=c++17 -O3 -march=native -fPIC -shared -Wl,-Bsymbolic -w)

# 1. A library for each source, which holds its kernels and a table of them.
kernels() { # source, name
  local source=$1 unit=$build/$2.cpp seen=$build/$2.seen library=$out/kernels/$2.so names kernel
  local compile=(g++ "${flags[@]}" -fvisibility=hidden -fno-gnu-unique
    -include "$here/include/kernel_shim.h" -I"$here/include" -I"$(dirname "$source")")
  # C++ has no arrays of unknown size on the stack, which is what dynamic shared memory would have to be.
  sed -E 's/extern __shared__ ([A-Za-z0-9_ ]+) ([A-Za-z0-9_]+)\[\];/\1 *\2 = (\1 *)emulated_dynamic_shared;/' "$source" >"$unit"
  "${compile[@]}" -E -P "$unit" >"$seen.new"
  # What is compared is what the compiler sees: headers may have changed, too.
  cmp -s "$seen.new" "$seen" && [ -e "$library" ] && return
  names=$(tr '\n' ' ' <"$seen.new" | grep -oE 'extern "C" __attribute__\(\(used\)\) +void +[A-Za-z0-9_]+' | sed 's/.* //')
  {
    sed -nE 's/^namespace ([a-z0-9_]+) \{$/using namespace \1;/p' "$source"
    echo "static const Kernel kernels[] = {"
    for kernel in $names; do echo "    emulated::Entry<$kernel>::kernel(\"$kernel\"),"; done
    echo "};"
    echo "extern \"C\" __attribute__((visibility(\"default\"))) const KernelModule emulated_module = {"
    echo "    \"$source\", kernels, sizeof kernels / sizeof *kernels, emulated::begin_launch, emulated::begin_block};"
  } >>"$unit"
  "${compile[@]}" -o "$library" "$unit"
  mv "$seen.new" "$seen"
}
# candle's two at a time, beside this workspace's.
kernels "$sources/cuda/kernels.cu" gtn &
jobs=($!)
for group in "affine binary cast conv fill" "indexing reduce sort ternary unary"; do
  { for name in $group; do kernels "$candle/src/$name.cu" "candle-$name"; done; } &
  jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done

# 2. The libraries. A function that is not emulated says so and fails.
library() { # soname, cudarc's module, its error "not supported", sources
  local soname=$1 module=$2 code=$3 stubs=$build/$2-stubs.c others=()
  shift 3
  {
    echo 'void emulated_missing(const char *);'
    grep -ohE '\bfn (cu|nvrtc)[A-Za-z0-9_]+' "$cudarc/src/$module/sys/mod.rs" | sort -u |
      awk -v code="$code" '{print "__attribute__((weak)) int " $2 "(void) { emulated_missing(\"" $2 "\"); return " code "; }"}'
  } >"$stubs"
  gcc -O1 -fPIC -w -c -o "${stubs%.c}.o" "$stubs"
  [ "$soname" = libcuda.so.1 ] || others=("$out/libcuda.so.1" -Wl,-rpath,'$ORIGIN')
  g++ "${flags[@]}" -I"$CUDA_HOME/include" -Wl,-soname,"$soname" -o "$out/$soname" "$@" "${stubs%.c}.o" "${others[@]}" -ldl
}
library libcuda.so.1 driver 801 "$here"/{driver,launch,memory,report}.cpp
library libcublas.so.13 cublas 15 "$here/cublas.cpp"
library libcublasLt.so.13 cublaslt 15
library libcurand.so.10 curand 105 "$here/curand.cpp"
library libnvrtc.so.13 nvrtc 5
# Installers put it in lib64, pip packages in lib.
for lib in lib64 lib; do
  [ -e "$CUDA_HOME/$lib/libcudart.so.13" ] && cp -L "$CUDA_HOME/$lib/libcudart.so.13" "$out/" && break
done
[ -e "$out/libcudart.so.13" ] || { echo "no libcudart.so.13 in lib64 or lib of $CUDA_HOME" >&2; exit 1; }
echo "built; LD_LIBRARY_PATH=$out in front of a command has it run on the emulated GPU"
