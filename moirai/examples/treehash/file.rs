//! Hashing one file.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use blake3::{Hash, Hasher};
use moirai::prelude::*;

/// How much of a file is read at a time, in bytes. While one chunk is hashed the next one is read, so a file takes at most the
/// memory of two.
pub(crate) const CHUNK: usize = 1 << 20;

/// Why a file has no hash.
#[derive(Debug)]
pub(crate) enum HashError {
    Io(io::Error),
    Task(TaskError),
}

/// Reads a file on the blocking threads, hashes it on the workers, and returns its hash and its length in bytes. All tasks that it
/// spawns are called `name`.
pub(crate) async fn hash(name: &str, path: PathBuf) -> Result<(Hash, u64), HashError> {
    let mut hasher = Hasher::new();
    let mut next = read(name, move || File::open(path))?;
    loop {
        let (file, chunk) = next.await.map_err(HashError::Task)?.map_err(HashError::Io)?;
        let following =
            if chunk.len() < CHUNK { None } else { Some(read(name, move || Ok(file))?) };
        let updated = executor()?.task().name(name.to_owned()).spawn_parallel(move || {
            hasher.update(&chunk);
            hasher
        });
        hasher = updated.await.map_err(HashError::Task)?;
        match following {
            Some(following) => next = following,
            None => return Ok((hasher.finalize(), hasher.count())),
        }
    }
}

/// The file, and its next chunk, which is shorter than [`CHUNK`] at the end of the file.
type Chunk = io::Result<(File, Vec<u8>)>;

/// Starts to read the next chunk of a file.
fn read(
    name: &str,
    open: impl FnOnce() -> io::Result<File> + Send + 'static,
) -> Result<TaskHandle<Chunk>, HashError> {
    Ok(executor()?.task().name(name.to_owned()).spawn_blocking(move || {
        let file = open()?;
        let mut chunk = Vec::new();
        (&file).take(CHUNK as u64).read_to_end(&mut chunk)?;
        Ok((file, chunk))
    }))
}

/// Returns the executor that runs the calling task.
fn executor() -> Result<Moirai, HashError> {
    Moirai::current().ok_or(HashError::Task(TaskError::ShutDown))
}
