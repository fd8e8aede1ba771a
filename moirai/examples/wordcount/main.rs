//! Counts the words of all text files below a directory, by map and reduce, and prints them as `sort | uniq -c | sort -rn` would.
//!
//! `cargo run --release --example wordcount -- DIR [--top N]`
//!
//! A word is a run of bytes that are not white space, as `tr -s '[:space:]' '\n'` sees it.

mod args;
mod count;
mod files;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use moirai::Moirai;

use args::Args;

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|word| matches!(&*word, "--help" | "-h")) {
        // A reader that goes away early, such as `head`, is no fault.
        let _ = writeln!(std::io::stdout(), "{}", args::USAGE);
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("wordcount: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(unread) => {
            eprintln!("wordcount: {unread} files could not be read");
            ExitCode::FAILURE
        }
        // The reader of the output has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wordcount: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the words, and returns the number of files that could not be read.
fn run(args: &Args) -> io::Result<usize> {
    let executor = Moirai::new().map_err(io::Error::other)?;
    let files = files::below(&args.folder)?;
    let total = count::files(&executor, &files);
    for error in &total.errors {
        eprintln!("wordcount: {error}");
    }
    let words = count::by_frequency(&executor, total.words);
    let mut out = BufWriter::new(io::stdout().lock());
    for (word, count) in words.iter().take(args.top) {
        write!(out, "{count:7} ")?;
        out.write_all(word)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(total.errors.len())
}
