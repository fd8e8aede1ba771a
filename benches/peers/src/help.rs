//! `--help` for the programs of this package.

use std::io::Write;

/// Prints `usage` and returns `true` if the program was called with `--help` or `-h`.
#[must_use]
pub fn asks_for_help(usage: &str) -> bool {
    let asked = std::env::args().skip(1).any(|word| matches!(&*word, "--help" | "-h"));
    if asked {
        // A reader that goes away early, such as `head`, is no fault.
        let _ = writeln!(std::io::stdout(), "{usage}");
    }
    asked
}
