use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_channel::Receiver;

use crate::args::{self, Command, Options};
use crate::file::{self, CHUNK, HashError};
use crate::run;
use crate::tree::Tree;

/// A directory that is removed at the end of its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("treehash-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn options(&self) -> Options {
        Options { threads: Some(2), files: 3, verify: true, ..Options::new(self.0.clone()) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a channel through which no interruption comes.
fn never() -> Receiver<()> {
    async_channel::bounded(1).1
}

/// Creates a tree with files of many lengths, at several depths.
fn tree() -> Folder {
    let folder = Folder::new();
    for (number, length) in
        [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 77].into_iter().enumerate()
    {
        let content: Vec<u8> = (0..length).map(|i| (i * 31 + number) as u8).collect();
        folder.write(&format!("large/{number}"), &content);
    }
    for number in 0..200 {
        let name = format!("small/{}/{}/{number}", number % 7, number % 3);
        folder.write(&name, name.as_bytes());
    }
    fs::create_dir(folder.0.join("empty")).unwrap();
    folder
}

#[test]
fn the_digest_is_that_of_a_sequential_run() {
    let folder = tree();
    let outcome = run::run(&folder.options(), &never()).unwrap();
    assert_eq!(outcome.agrees(), Some(true));
    assert!(outcome.is_clean() && !outcome.is_interrupted());
    assert_eq!(outcome.tree.hashes.len(), 208);
    assert_eq!(outcome.tree.left(), 0);
    let sequential = outcome.sequential.as_ref().unwrap();
    assert_eq!(outcome.tree.bytes, sequential.bytes);
    assert_eq!(outcome.tree.hashes, sequential.hashes);
}

#[test]
fn the_digest_depends_on_contents_and_names() {
    let digest = |files: &[(&str, &str)]| {
        let folder = Folder::new();
        for (name, content) in files {
            folder.write(name, content.as_bytes());
        }
        Tree::sequential(&folder.0, true).digest()
    };
    let plain = digest(&[("a", "1"), ("b/c", "2")]);
    assert_eq!(digest(&[("b/c", "2"), ("a", "1")]), plain);
    for other in [
        digest(&[("a", "1"), ("b/c", "3")]),
        digest(&[("a", "2"), ("b/c", "1")]),
        digest(&[("a", "1"), ("bc", "2")]),
        digest(&[("a", "1")]),
        digest(&[]),
    ] {
        assert_ne!(other, plain);
    }
}

#[test]
fn every_task_has_a_record() {
    let folder = tree();
    let outcome = run::run(&folder.options(), &never()).unwrap();
    let report = &outcome.records.report;
    assert!(report.is_clean(), "{report}");
    // Two for each directory; for each file one, and a read and a hash for each of its chunks, of which the last is short.
    let directories = outcome.tree.listed;
    let chunks: u64 = (0..8)
        .map(|number| fs::metadata(folder.0.join(format!("large/{number}"))))
        .map(|file| file.unwrap().len() / CHUNK as u64 + 1)
        .sum();
    let expected = 2 * directories + 208 + 2 * (200 + chunks);
    assert_eq!((report.spawned, report.completed), (expected, expected));
    assert_eq!(outcome.records.stats.total_tasks as u64, expected);
    let slowest = &outcome.records.slowest;
    assert_eq!(slowest.len(), 10);
    assert!(slowest.is_sorted_by(|a, b| a.busy >= b.busy));
    for task in slowest {
        assert!(task.name.is_some() && task.queue_time().is_some(), "{task:?}");
        assert!(task.location.file().contains("treehash"), "{task:?}");
    }
    let text = outcome.to_string();
    assert!(text.contains("the same") && text.contains("The slowest 10 of"), "{text}");
}

#[test]
fn build_folders_are_left_out_unless_everything_is_asked_for() {
    let folder = Folder::new();
    for name in ["a", "target/b", "c/.git/d", "e/target"] {
        folder.write(name, b"x");
    }
    let some = run::run(&folder.options(), &never()).unwrap();
    // A file may be called `target`.
    assert_eq!((some.tree.hashes.len(), some.tree.skipped), (2, 2));
    let all = run::run(&Options { all: true, ..folder.options() }, &never()).unwrap();
    assert_eq!((all.tree.hashes.len(), all.tree.skipped), (4, 0));
    assert_eq!((some.agrees(), all.agrees()), (Some(true), Some(true)));
}

#[cfg(unix)]
#[test]
fn links_are_counted_and_not_followed() {
    let folder = Folder::new();
    folder.write("a/b", b"x");
    std::os::unix::fs::symlink("..", folder.0.join("a/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.0.join("dangling")).unwrap();
    let outcome = run::run(&folder.options(), &never()).unwrap();
    assert_eq!((outcome.tree.hashes.len(), outcome.tree.special), (1, 2));
    assert!(outcome.is_clean());
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_reported_and_the_others_are_hashed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    for name in ["a", "b/c", "d"] {
        folder.write(name, b"x");
    }
    for name in ["a", "b"] {
        let nothing = fs::Permissions::from_mode(0o000);
        fs::set_permissions(folder.0.join(name), nothing).unwrap();
    }
    // A superuser can read every file.
    let superuser = fs::File::open(folder.0.join("a")).is_ok();
    let outcome = run::run(&folder.options(), &never()).unwrap();
    let everything = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.0.join("b"), everything).unwrap();
    assert_eq!(outcome.agrees(), Some(true));
    assert_eq!(outcome.is_clean(), superuser);
    let expected: &[&Path] = if superuser { &[] } else { &[Path::new("a"), Path::new("b")] };
    assert!(outcome.tree.unreadable.keys().eq(expected), "{:?}", outcome.tree.unreadable);
}

#[test]
fn a_file_that_is_gone_is_an_error_of_that_file() {
    let executor = moirai::Moirai::builder().worker_threads(1).build().unwrap();
    let gone = Folder::new().0.join("gone");
    let error = executor.block_on(async { file::hash("gone", gone).await.unwrap_err() });
    assert!(matches!(error, HashError::Io(_)), "{error:?}");
}

#[test]
fn a_directory_that_is_gone_is_unreadable_and_no_more() {
    let folder = Folder::new();
    let options = Options { root: folder.0.join("gone"), ..folder.options() };
    let outcome = run::run(&options, &never()).unwrap();
    assert_eq!((outcome.tree.unreadable.len(), outcome.tree.left()), (1, 0));
    assert!(!outcome.is_clean());
    assert_eq!(outcome.agrees(), Some(true));
}

#[test]
fn an_interrupt_ends_it_within_the_deadline_and_says_what_is_left() {
    let folder = tree();
    let (interrupt, interrupted) = async_channel::bounded(1);
    interrupt.try_send(()).unwrap();
    let options = Options { deadline: Duration::from_secs(30), ..folder.options() };
    let outcome = run::run(&options, &interrupted).unwrap();
    assert!(outcome.is_interrupted());
    assert!(outcome.sequential.is_none());
    let Tree { found, hashes, listed, unreadable, .. } = &outcome.tree;
    assert_eq!(outcome.tree.left(), found - listed - hashes.len() as u64);
    assert!(unreadable.is_empty(), "what a shutdown stopped is left, not unreadable");
    let report = &outcome.records.report;
    assert_eq!(report.still_active, 0);
    assert_eq!(report.spawned, report.completed + report.cancelled);
    let text = outcome.to_string();
    assert!(text.starts_with("interrupted; left: "), "{text}");
}

fn parse(args: &[&str]) -> Result<Command, String> {
    args::parse(args.iter().map(OsString::from))
}

#[test]
fn options_are_read() {
    let Ok(Command::Run(options)) = parse(&[]) else { panic!("no arguments are fine") };
    assert!(options.root.join("Cargo.toml").exists(), "{:?}", options.root);
    let args = ["--all", "--verify", "--threads", "3", "--files", "7", "--deadline", "0.5", "."];
    let Ok(Command::Run(options)) = parse(&args) else { panic!("these are fine") };
    assert!(options.all && options.verify);
    assert_eq!((options.threads, options.files), (Some(3), 7));
    assert_eq!((options.deadline, options.root), (Duration::from_millis(500), ".".into()));
    assert!(matches!(parse(&["--help"]), Ok(Command::Help)));
    assert!(args::help().contains("--deadline SECS"));
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    for (args, expected) in [
        (&["--thread", "1"][..], "there is no option --thread"),
        (&["--threads"], "--threads needs a number after it"),
        (&["--threads", "many"], "--threads needs a number, not \"many\""),
        (&["--threads", "-1"], "--threads needs a number, not \"-1\""),
        (&["--files", "0"], "--files is 0"),
        (&["--deadline", "-1"], "--deadline is -1"),
        (&["--deadline", "NaN"], "--deadline is NaN"),
        (&["/nowhere/at/all"], "/nowhere/at/all is not a directory"),
        (&["--", "--all"], "--all is not a directory"),
        (&[".", "."], "one directory at a time"),
    ] {
        let error = parse(args).map(|_| ()).unwrap_err();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn a_number_of_threads_that_makes_no_sense_is_refused_by_the_executor() {
    let folder = Folder::new();
    let options = Options { threads: Some(0), ..folder.options() };
    let error = run::run(&options, &never()).map(|_| ()).unwrap_err();
    assert_eq!(error.field(), Some("worker_threads"));
}
