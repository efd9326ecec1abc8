//! Compiles the CUDA kernels, where the feature `cuda` asks for them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernels ask for nothing newer; the driver compiles them for its own device.
const ARCHITECTURE: &str = "compute_75";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_some() {
        compile_kernels();
    }
}

fn compile_kernels() {
    println!("cargo::rerun-if-env-changed=NVCC");
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    // Their files lie beside the operations that they serve.
    sources(Path::new("src"));
    let ptx = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("kernels.ptx");
    let compiler = nvcc();
    let done = Command::new(&compiler)
        .args(["-ptx", "-std=c++17", "-O3", "-arch", ARCHITECTURE, "-o"])
        .arg(&ptx)
        .arg("src/cuda/kernels.cu")
        .status();
    match done {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("nvcc did not compile src/cuda/kernels.cu: {status}"),
        Err(error) => panic!(
            "the feature `cuda` needs the CUDA toolkit's compiler: {} could not be started ({error}); set CUDA_HOME or NVCC",
            compiler.display()
        ),
    }
}

/// Has cargo run this again once a file of kernels in this folder is changed.
fn sources(folder: &Path) {
    let entries = std::fs::read_dir(folder).expect("the folder of the sources can be read");
    for path in entries.map(|entry| entry.expect("an entry of the sources' folder").path()) {
        if path.is_dir() {
            sources(&path);
        } else if path.extension().is_some_and(|kind| kind == "cu" || kind == "cuh") {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}

/// The compiler: `NVCC`, or that of `CUDA_HOME`, or the first on the path.
fn nvcc() -> PathBuf {
    let home = || env::var_os("CUDA_HOME").map(|home| Path::new(&home).join("bin/nvcc"));
    env::var_os("NVCC").map(PathBuf::from).or_else(home).unwrap_or_else(|| "nvcc".into())
}
