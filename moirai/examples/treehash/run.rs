//! A run of the program, from the options to the outcome.

use std::fmt;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use futures_lite::future;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use moirai::prelude::*;

use crate::args::Options;
use crate::job::{Event, Job};
use crate::records::Records;
use crate::tree::{SKIPPED, Tree};

/// The outcome of a run.
pub(crate) struct Outcome {
    pub(crate) tree: Tree,
    pub(crate) records: Records,
    /// What a sequential run has found, if one was asked for.
    pub(crate) sequential: Option<Tree>,
    interrupted: bool,
    elapsed: Duration,
    workers: usize,
}

/// Hashes a tree. A message on `interrupt` ends the run early.
///
/// # Errors
///
/// If the executor refuses an option.
pub(crate) fn run(options: &Options, interrupt: &Receiver<()>) -> Result<Outcome, BuildError> {
    let mut builder = Moirai::builder().thread_name_prefix("treehash");
    if let Some(threads) = options.threads {
        builder = builder.worker_threads(threads);
    }
    let executor = builder.build()?;

    let start = Instant::now();
    let (sender, events) = async_channel::unbounded();
    // Only the tasks hold the job, and with it the sending end of the channel, so the channel closes when the last of them has
    // ended.
    Job::new(options, sender).spawn_walk(&executor, options.root.clone());

    let bar = progress_bar();
    let mut tree = Tree::new();
    let finished = async {
        while let Ok(event) = events.recv().await {
            apply(&mut tree, event, &bar);
        }
        false
    };
    let interrupted = executor.block_on(future::or(interruption(interrupt), finished));
    let report = if interrupted {
        let deadline = options.deadline;
        bar.suspend(|| eprintln!("interrupted: tasks may run on for {deadline:?}"));
        executor.shutdown_timeout(deadline)
    } else {
        executor.shutdown()
    };
    // The events that were sent during the shutdown.
    while let Ok(event) = events.try_recv() {
        apply(&mut tree, event, &bar);
    }
    bar.finish_and_clear();
    let elapsed = start.elapsed();

    let verify = options.verify && !interrupted;
    Ok(Outcome {
        tree,
        records: Records::new(&executor, report),
        sequential: verify.then(|| Tree::sequential(&options.root, options.all)),
        interrupted,
        elapsed,
        workers: executor.worker_count(),
    })
}

/// Resolves to `true` when the run is interrupted.
async fn interruption(interrupt: &Receiver<()>) -> bool {
    if interrupt.recv().await.is_err() {
        // The sender is gone, so nothing can interrupt the run.
        future::pending::<()>().await;
    }
    true
}

fn progress_bar() -> ProgressBar {
    const STYLE: &str = "{elapsed} [{wide_bar}] {pos} of {len}, {msg}";
    let style = ProgressStyle::with_template(STYLE).expect("the template is well-formed");
    ProgressBar::new(1).with_style(style.progress_chars("=> "))
}

/// Applies an event to the tree and to the progress bar.
fn apply(tree: &mut Tree, event: Event, bar: &ProgressBar) {
    match event {
        Event::Listed { files, directories, skipped, special } => {
            tree.listed(files, directories, skipped, special);
            bar.set_length(tree.found);
        }
        Event::Hashed { path, hash, bytes } => {
            tree.bytes += bytes;
            tree.hashes.insert(path, hash);
            bar.set_message(HumanBytes(tree.bytes).to_string());
        }
        Event::Unreadable { path, reason } => {
            bar.suspend(|| eprintln!("unreadable: {}: {reason}", path.display()));
            tree.unreadable.insert(path, reason);
        }
    }
    bar.set_position(tree.found - tree.left());
}

impl Outcome {
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Returns whether every file was hashed, and, if a sequential run was asked for, to the same digest as there.
    pub(crate) fn is_clean(&self) -> bool {
        self.tree.left() == 0 && self.tree.unreadable.is_empty() && self.agrees() != Some(false)
    }

    /// Returns whether the sequential run has found the same; `None` if there was none.
    pub(crate) fn agrees(&self) -> Option<bool> {
        let same = |one: &Tree, other: &Tree| {
            one.digest() == other.digest() && one.unreadable.keys().eq(other.unreadable.keys())
        };
        self.sequential.as_ref().map(|sequential| same(&self.tree, sequential))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tree { hashes, unreadable, bytes, skipped, special, .. } = &self.tree;
        if self.interrupted {
            writeln!(f, "interrupted; left: {} files and directories", self.tree.left())?;
        } else {
            writeln!(f, "digest    {}", self.tree.digest())?;
        }
        if let (Some(agrees), Some(sequential)) = (self.agrees(), &self.sequential) {
            let verdict = if agrees { "the same" } else { "DIFFERENT; did the files change?" };
            writeln!(f, "verified  {verdict}: {}, sequentially", sequential.digest())?;
        }
        writeln!(
            f,
            "files     {} hashed, {}; {} unreadable; {skipped} directories skipped ({}), {special} links and special files",
            hashes.len(),
            HumanBytes(*bytes),
            unreadable.len(),
            SKIPPED.join(", "),
        )?;
        let seconds = self.elapsed.as_secs_f64();
        let rate = HumanBytes((*bytes as f64 / seconds.max(1e-9)) as u64);
        writeln!(f, "time      {seconds:.3} s, {rate}/s, {} workers", self.workers)?;
        write!(f, "{}", self.records)
    }
}
