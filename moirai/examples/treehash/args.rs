//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::file::CHUNK;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Options),
    Help,
}

/// The options of a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) root: PathBuf,
    /// Whether directories called `.git` or `target` are included.
    pub(crate) all: bool,
    /// Whether everything is hashed once more, sequentially, and compared.
    pub(crate) verify: bool,
    /// The number of workers; `None` leaves it to the executor.
    pub(crate) threads: Option<usize>,
    /// How many files may be open at once.
    pub(crate) files: usize,
    /// How long tasks may run on after Ctrl-C, before they are cancelled.
    pub(crate) deadline: Duration,
}

/// The default of `--files`.
const FILES: usize = 32;

/// The default of `--deadline`, in seconds.
const DEADLINE: u64 = 2;

impl Options {
    /// Returns the default options for the directory `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            all: false,
            verify: false,
            threads: None,
            files: FILES,
            deadline: Duration::from_secs(DEADLINE),
        }
    }
}

/// Returns the text for `--help`.
pub(crate) fn help() -> String {
    let chunk = CHUNK >> 20;
    format!(
        "\
Hashes every file below a directory with BLAKE3, and prints what the executor has recorded of the tasks that did it.

Usage: treehash [OPTIONS] [DIRECTORY]

  DIRECTORY         where to begin (default: the workspace of this example)

Options:
  --all             include directories that are called .git or target, which are skipped otherwise
  --verify          hash everything again, sequentially, and compare the results
  --threads N       number of workers (default: one per core)
  --files N         how many files may be open at once (default: {FILES}); each takes at most {} MiB of memory
  --deadline SECS   how many seconds tasks may run on after Ctrl-C (default: {DEADLINE})
  --help            print this text

Symbolic links and special files are counted, but not followed or read.

Exit codes: 0 all files were hashed; 1 some could not be read, or --verify found a difference; 2 wrong arguments;
130 interrupted.",
        2 * chunk
    )
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut options = Options::new(workspace());
    let mut root = None;
    let mut args = args.into_iter();
    let mut options_end = false;
    while let Some(arg) = args.next() {
        let text = arg.to_str().filter(|text| !options_end && text.starts_with('-'));
        match text {
            None if root.is_some() => {
                return Err(format!("one directory at a time: {arg:?} is the second"));
            }
            None => root = Some(PathBuf::from(arg)),
            Some("--") => options_end = true,
            Some("--help" | "-h") => return Ok(Command::Help),
            Some("--all") => options.all = true,
            Some("--verify") => options.verify = true,
            Some("--threads") => options.threads = Some(number("--threads", args.next())?),
            Some("--files") => {
                options.files = number("--files", args.next())?;
                if options.files == 0 {
                    return Err("--files is 0: at least one file must be open to be read".into());
                }
            }
            Some("--deadline") => {
                let seconds: f64 = number("--deadline", args.next())?;
                options.deadline = Duration::try_from_secs_f64(seconds)
                    .map_err(|error| format!("--deadline is {seconds}: {error}"))?;
            }
            Some(unknown) => return Err(format!("there is no option {unknown}")),
        }
    }
    if let Some(root) = root {
        options.root = root;
    }
    if !options.root.is_dir() {
        return Err(format!("{} is not a directory that can be opened", options.root.display()));
    }
    Ok(Command::Run(options))
}

fn number<N: std::str::FromStr>(option: &str, value: Option<OsString>) -> Result<N, String> {
    let value = value.ok_or_else(|| format!("{option} needs a number after it"))?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{option} needs a number, not {value:?}"))
}

/// Returns the workspace that this example is part of.
fn workspace() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map(PathBuf::from).unwrap_or(package)
}
