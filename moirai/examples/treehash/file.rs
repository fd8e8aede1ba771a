//! Hashing one file.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use blake3::{Hash, Hasher};
use moirai::prelude::*;

/// How much of a file is read at a time. While one piece is hashed the next one is read, so a file takes at most two.
pub(crate) const CHUNK: usize = 1 << 20;

/// Why a file has no hash.
#[derive(Debug)]
pub(crate) enum Trouble {
    Io(io::Error),
    Task(TaskError),
}

/// Reads a file on the blocking threads, hashes it on the workers, and returns its hash and length. Its tasks are all called
/// `name`.
pub(crate) async fn hash(name: &str, path: PathBuf) -> Result<(Hash, u64), Trouble> {
    let mut hasher = Hasher::new();
    let mut next = read(name, move || File::open(path))?;
    loop {
        let (file, chunk) = next.await.map_err(Trouble::Task)?.map_err(Trouble::Io)?;
        let following =
            if chunk.len() < CHUNK { None } else { Some(read(name, move || Ok(file))?) };
        let updated = executor()?.task().name(name.to_owned()).spawn_parallel(move || {
            hasher.update(&chunk);
            hasher
        });
        hasher = updated.await.map_err(Trouble::Task)?;
        match following {
            Some(following) => next = following,
            None => return Ok((hasher.finalize(), hasher.count())),
        }
    }
}

/// A file, and a piece of it; shorter than [`CHUNK`] at its end.
type Piece = io::Result<(File, Vec<u8>)>;

/// Starts to read the next piece of a file.
fn read(
    name: &str,
    open: impl FnOnce() -> io::Result<File> + Send + 'static,
) -> Result<TaskHandle<Piece>, Trouble> {
    Ok(executor()?.task().name(name.to_owned()).spawn_blocking(move || {
        let file = open()?;
        let mut chunk = Vec::new();
        (&file).take(CHUNK as u64).read_to_end(&mut chunk)?;
        Ok((file, chunk))
    }))
}

/// The executor that runs the calling task.
fn executor() -> Result<Moirai, Trouble> {
    Moirai::current().ok_or(Trouble::Task(TaskError::ShutDown))
}
