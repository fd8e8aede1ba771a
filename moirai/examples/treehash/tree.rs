//! Directories, and what has been found in a tree of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};

/// Directories with these names are skipped unless `--all` is given.
pub(crate) const SKIPPED: [&str; 2] = [".git", "target"];

/// The entries of a directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
    /// Directories that were skipped because of their names.
    pub(crate) skipped: u64,
    /// Symbolic links, sockets and the like.
    pub(crate) special: u64,
}

impl Listing {
    /// Lists a directory. Blocks the calling thread.
    pub(crate) fn of(directory: &Path, all: bool) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let skipped = || SKIPPED.iter().any(|name| entry.file_name() == *name);
            if kind.is_file() {
                listing.files.push(entry.path());
            } else if !kind.is_dir() {
                listing.special += 1;
            } else if !all && skipped() {
                listing.skipped += 1;
            } else {
                listing.directories.push(entry.path());
            }
        }
        Ok(listing)
    }
}

/// What has been found in a tree so far. All paths are relative to its root.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) hashes: BTreeMap<PathBuf, Hash>,
    /// Files and directories that could not be read, and why.
    pub(crate) unreadable: BTreeMap<PathBuf, String>,
    /// The number of files and directories that were found, the root included.
    pub(crate) found: u64,
    /// The number of directories that were listed.
    pub(crate) listed: u64,
    pub(crate) bytes: u64,
    pub(crate) skipped: u64,
    pub(crate) special: u64,
}

impl Tree {
    /// Returns what is known before the root is listed.
    pub(crate) fn new() -> Self {
        Self { found: 1, ..Self::default() }
    }

    /// Counts the entries of a directory that was listed.
    pub(crate) fn listed(&mut self, files: usize, directories: usize, skipped: u64, special: u64) {
        self.found += (files + directories) as u64;
        self.listed += 1;
        self.skipped += skipped;
        self.special += special;
    }

    /// Returns the number of files and directories that were found, but neither hashed, nor listed, nor found to be unreadable.
    pub(crate) fn left(&self) -> u64 {
        let done = self.hashes.len() + self.unreadable.len();
        self.found - self.listed - done as u64
    }

    /// Returns one hash over all paths and their hashes, in the order of the paths. It is the same on every platform.
    pub(crate) fn digest(&self) -> Hash {
        let mut digest = Hasher::new();
        for (path, hash) in &self.hashes {
            for component in path {
                let component = component.as_encoded_bytes();
                digest.update(&(component.len() as u64).to_le_bytes()).update(component);
            }
            // No component is as long as this number says, so no path can be mistaken for the end of another one.
            digest.update(&u64::MAX.to_le_bytes()).update(hash.as_bytes());
        }
        digest.finalize()
    }

    /// Hashes the tree sequentially: one file after the other, on the calling thread.
    pub(crate) fn sequential(root: &Path, all: bool) -> Self {
        let mut tree = Self::new();
        let mut directories = vec![root.to_owned()];
        while let Some(directory) = directories.pop() {
            let listing = match Listing::of(&directory, all) {
                Ok(listing) => listing,
                Err(error) => {
                    tree.unreadable.insert(relative(root, &directory), error.to_string());
                    continue;
                }
            };
            let Listing { files, directories: below, skipped, special } = listing;
            tree.listed(files.len(), below.len(), skipped, special);
            directories.extend(below);
            for path in files {
                let mut hasher = Hasher::new();
                let read = File::open(&path)
                    .and_then(|file| hasher.update_reader(file).map(|hasher| hasher.count()));
                match read {
                    Ok(bytes) => {
                        tree.bytes += bytes;
                        tree.hashes.insert(relative(root, &path), hasher.finalize());
                    }
                    Err(error) => {
                        tree.unreadable.insert(relative(root, &path), error.to_string());
                    }
                }
            }
        }
        tree
    }
}

/// Returns `path` as seen from the root. The root itself is `.`.
pub(crate) fn relative(root: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(root) {
        Ok(path) if path.as_os_str().is_empty() => PathBuf::from("."),
        Ok(path) => path.to_owned(),
        Err(_) => path.to_owned(),
    }
}
