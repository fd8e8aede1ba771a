fn main() {
    // Cargo asks a package with `links` for a build script.
    println!("cargo::rerun-if-changed=build.rs");
}
