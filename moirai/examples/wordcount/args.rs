//! The command line.

use std::path::PathBuf;

pub(crate) const USAGE: &str = "usage: wordcount DIR [--top N]
Counts the words of all files below DIR, and prints each with its count, the most frequent first.
--top N   print only the N most frequent words";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) folder: PathBuf,
    pub(crate) top: usize,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut folder, mut top) = (None, usize::MAX);
        while let Some(word) = words.next() {
            match &*word {
                "--top" => {
                    let text = words.next().ok_or("--top needs a value")?;
                    top = text.parse().map_err(|_| format!("--top: {text:?} is not a number"))?;
                }
                _ if word.starts_with('-') => return Err(format!("unknown option {word:?}")),
                _ if folder.is_some() => {
                    return Err(format!("only one directory can be given: {word:?} is the second"));
                }
                _ => folder = Some(PathBuf::from(word)),
            }
        }
        Ok(Self { folder: folder.ok_or("the directory is missing")?, top })
    }
}
