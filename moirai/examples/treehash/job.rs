//! The tasks: one for each directory, and one for each file.
//!
//! The task of a directory lists it on a blocking thread. It then spawns a task for each directory in it, and one for each file as
//! soon as a permit for a file is free. So the walk is ahead of the hashing by no more than the permits allow, however large the
//! tree is. The tasks send what they find through a channel, which closes when the last of them has ended.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use async_channel::Sender;
use blake3::Hash;
use moirai::prelude::*;

use crate::args::Options;
use crate::file::{self, HashError};
use crate::permits::{Permit, Permits};
use crate::tree::{Listing, relative};

/// How many directories may be between their listing and the spawn of their last file at once.
const DIRECTORIES: usize = 8;

/// What a task reports. Paths are relative to the root.
pub(crate) enum Event {
    Listed { files: usize, directories: usize, skipped: u64, special: u64 },
    Hashed { path: PathBuf, hash: Hash, bytes: u64 },
    Unreadable { path: PathBuf, reason: String },
}

/// What the tasks share. It is dropped with the last of them, and with it the sending end of the channel.
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

    /// Spawns the task of a directory.
    pub(crate) fn spawn_walk(self: Arc<Self>, executor: &Moirai, directory: PathBuf) {
        let task = executor.task().name(self.name(&directory));
        // The handle is dropped: what the task finds comes through the channel. The future is boxed, because it spawns others of
        // its own type.
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
            Ok(Err(error)) => return self.send_unreadable(path, &error.to_string()),
            Err(error) => return self.send_unfinished(path, &error),
        };
        let Listing { directories, files, skipped, special } = listing;
        self.send(Event::Listed {
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
            Ok((hash, bytes)) => self.send(Event::Hashed { path: from_root, hash, bytes }),
            Err(HashError::Io(error)) => self.send_unreadable(from_root, &error.to_string()),
            Err(HashError::Task(error)) => self.send_unfinished(from_root, &error),
        }
    }

    /// Returns the name of the task for `path`.
    fn name(&self, path: &std::path::Path) -> String {
        relative(&self.options.root, path).display().to_string()
    }

    /// Reports `path` as unreadable if the task that was spawned for it has panicked. A task that a shutdown has cancelled is not
    /// reported, and its path counts as left over.
    fn send_unfinished(&self, path: PathBuf, error: &TaskError) {
        if error.is_panicked() {
            self.send_unreadable(path, &error.to_string());
        }
    }

    fn send_unreadable(&self, path: PathBuf, reason: &str) {
        self.send(Event::Unreadable { path, reason: reason.to_owned() });
    }

    fn send(&self, event: Event) {
        // The channel is unbounded, because everything that it holds is kept in the end anyway. The receiver may be gone if the
        // program ends early.
        let _ = self.events.try_send(event);
    }
}
