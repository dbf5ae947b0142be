//! With the feature `mpi`, compiles the one constant of the MPI library that the bindings of the `mpi` crate
//! lack, with the compiler of that library. Without the feature, there is nothing to do.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "mpi")]
    compile_in_place();
}

#[cfg(feature = "mpi")]
fn compile_in_place() {
    const SOURCE: &str = "src/transport/mpi/in_place.c";
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=MPICC");
    let library = build_probe_mpi::probe().unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("no MPI library was found, though the mpi crate has found one: {}", errors.join("; "));
    });
    let mut compiler = cc::Build::new();
    compiler.file(SOURCE).includes(&library.include_paths);
    if let Some(mpicc) = &library.mpicc {
        compiler.compiler(mpicc);
    }
    compiler.compile("ternflock_in_place");
}
