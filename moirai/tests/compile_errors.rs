//! What the compiler refuses, and what it says then. Each program in the folder of this name stands beside what the compiler says of
//! it; `TRYBUILD=overwrite cargo test -p moirai --test compile_errors` writes that anew.
#![cfg(feature = "macros")]

#[test]
fn errors_say_what_to_do_instead() {
    let programs = trybuild::TestCases::new();
    programs.compile_fail("tests/compile_errors/*.rs");
}
