//! Map: the words of one file. Reduce: two tables into one.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use moirai::Moirai;

type Word = Box<[u8]>;

/// The words that were counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) words: HashMap<Word, u64>,
    /// The files that could not be read, and why.
    pub(crate) errors: Vec<String>,
}

/// Counts the words of all files.
pub(crate) fn files(executor: &Moirai, files: &[PathBuf]) -> Counted {
    match files {
        [] => Counted::default(),
        [file] => one_file(file),
        _ => {
            let (left, right) = files.split_at(files.len() / 2);
            let (left, right) =
                executor.join(|| self::files(executor, left), || self::files(executor, right));
            left.merge(right)
        }
    }
}

fn one_file(file: &PathBuf) -> Counted {
    let mut counted = Counted::default();
    match fs::read(file) {
        Ok(text) => counted.add(&text),
        Err(error) => counted.errors.push(format!("{}: {error}", file.display())),
    }
    counted
}

impl Counted {
    pub(crate) fn add(&mut self, text: &[u8]) {
        // What `isspace` calls white space in the C locale.
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
        for word in text.split(is_blank).filter(|word| !word.is_empty()) {
            match self.words.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(self.words.insert(word.into(), 1)),
            }
        }
    }

    /// Adds the smaller table to the larger one.
    fn merge(mut self, mut other: Self) -> Self {
        if self.words.len() < other.words.len() {
            std::mem::swap(&mut self.words, &mut other.words);
        }
        for (word, count) in other.words {
            *self.words.entry(word).or_default() += count;
        }
        self.errors.append(&mut other.errors);
        self
    }
}

/// Returns the words, the most frequent first. Words of equal frequency are sorted by their bytes, in descending order.
pub(crate) fn by_frequency(executor: &Moirai, words: HashMap<Word, u64>) -> Vec<(Word, u64)> {
    let mut words: Vec<_> = words.into_iter().collect();
    moirai::par::sort_unstable_by(executor, &mut words, |a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
    words
}
