//! The tasks: one for each directory, one for each file.
//!
//! A directory's task lists it on a blocking thread, spawns a task for each directory in it, and one for each file as soon
//! as a permit for a file is free. So the walk is at most so far ahead of the hashing as the permits allow, however large
//! the tree is. What becomes of each is told through a channel, which closes when the last task has ended.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use async_channel::Sender;
use blake3::Hash;
use moirai::prelude::*;

use crate::args::Options;
use crate::file::{self, Trouble};
use crate::permits::{Permit, Permits};
use crate::tree::{Listing, relative};

/// How many directories may be between their listing and the spawn of their last file.
const DIRECTORIES: usize = 8;

/// What a task has to tell. Paths are relative to the root.
pub(crate) enum Event {
    Listed { files: usize, directories: usize, skipped: u64, special: u64 },
    Hashed { path: PathBuf, hash: Hash, bytes: u64 },
    Unreadable { path: PathBuf, reason: String },
}

/// What the tasks share. Dropped with the last of them.
pub(crate) struct Job {
    options: Options,
    directories: Permits,
    files: Permits,
    events: Sender<Event>,
}

impl Job {
    pub(crate) fn new(options: &Options, events: Sender<Event>) -> Arc<Self> {
        Arc::new(Self {
            options: options.clone(),
            directories: Permits::new(DIRECTORIES),
            files: Permits::new(options.files),
            events,
        })
    }

    /// Starts the task of a directory.
    pub(crate) fn spawn_walk(self: Arc<Self>, executor: &Moirai, directory: PathBuf) {
        let task = executor.task().name(self.name(&directory));
        // Nobody waits for its handle: what it finds comes through the channel. Boxed, because it spawns its own kind.
        let walk: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(self.walk(directory));
        drop(task.spawn_async(walk));
    }

    async fn walk(self: Arc<Self>, directory: PathBuf) {
        let Some(executor) = Moirai::current() else {
            return;
        };
        let _permit = self.directories.take().await;
        let path = relative(&self.options.root, &directory);
        let all = self.options.all;
        let list = executor.task().name(self.name(&directory));
        let listing = match list.spawn_blocking(move || Listing::of(&directory, all)).await {
            Ok(Ok(listing)) => listing,
            Ok(Err(error)) => return self.tell_unreadable(path, &error.to_string()),
            Err(error) => return self.tell_unfinished(path, &error),
        };
        let Listing { directories, files, skipped, special } = listing;
        self.tell(Event::Listed {
            files: files.len(),
            directories: directories.len(),
            skipped,
            special,
        });
        for directory in directories {
            Arc::clone(&self).spawn_walk(&executor, directory);
        }
        for path in files {
            let permit = self.files.take().await;
            let name = self.name(&path);
            let task = executor.task().name(name.clone());
            drop(task.spawn_async(Arc::clone(&self).hash(name, path, permit)));
        }
    }

    async fn hash(self: Arc<Self>, name: String, path: PathBuf, _permit: Permit) {
        let from_root = relative(&self.options.root, &path);
        match file::hash(&name, path).await {
            Ok((hash, bytes)) => self.tell(Event::Hashed { path: from_root, hash, bytes }),
            Err(Trouble::Io(error)) => self.tell_unreadable(from_root, &error.to_string()),
            Err(Trouble::Task(error)) => self.tell_unfinished(from_root, &error),
        }
    }

    /// What a task is called in the books.
    fn name(&self, path: &std::path::Path) -> String {
        relative(&self.options.root, path).display().to_string()
    }

    /// A task that was spawned for `path` came to nothing. After a shutdown that is as it should be, and the path is left.
    fn tell_unfinished(&self, path: PathBuf, error: &TaskError) {
        if error.is_panicked() {
            self.tell_unreadable(path, &error.to_string());
        }
    }

    fn tell_unreadable(&self, path: PathBuf, reason: &str) {
        self.tell(Event::Unreadable { path, reason: reason.to_owned() });
    }

    fn tell(&self, event: Event) {
        // The channel has no limit: what it holds is kept anyway. Nobody listens any more if the program ends early.
        let _ = self.events.try_send(event);
    }
}
