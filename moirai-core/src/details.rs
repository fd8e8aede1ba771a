//! What a record says of a task if it was asked to: tags, and how far the task has come.

use std::fmt;
use std::sync::Arc;

use crate::text;

/// The tags of a task: pairs of a key and a value, by which tasks are found.
///
/// A task has at most [`MAX_TAGS`](Self::MAX_TAGS), in the order in which they were given. A key and a value have at most
/// [`MAX_NAME_BYTES`](text::MAX_NAME_BYTES) bytes each. Clones share the texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<[Tag]>>);

/// A key and a value.
type Tag = (Arc<str>, Arc<str>);

impl Tags {
    /// The largest number of tags of a task.
    pub const MAX_TAGS: usize = 8;

    /// Creates tags of the first [`MAX_TAGS`](Self::MAX_TAGS) pairs, with texts that are cut at the limit on their length.
    #[must_use]
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = pairs.into_iter().take(Self::MAX_TAGS);
        let tags: Vec<Tag> =
            pairs.map(|(key, value)| (cut(key).into(), cut(value).into())).collect();
        Self((!tags.is_empty()).then(|| tags.into()))
    }

    /// Returns the pairs of key and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|tags| tags.iter().map(|(key, value)| (&**key, &**value)))
    }

    /// Returns the value of the first tag with this key, which is cut as those of the tags are.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let key = cut(key);
        self.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// Returns whether one of the tags is this pair, which is cut as the tags are.
    #[must_use]
    pub fn contains(&self, key: &str, value: &str) -> bool {
        let pair = (cut(key), cut(value));
        self.iter().any(|tag| tag == pair)
    }

    /// Returns whether there are no tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

fn cut(part: &str) -> &str {
    text::cut(part, text::MAX_NAME_BYTES)
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Tags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// How far a task has come, in a unit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do; zero if that is not known.
    pub total: u64,
}

impl Progress {
    /// Returns the part that is done, from 0 to 1; `None` if it is not known how much there is to do.
    ///
    /// ```
    /// use moirai_core::Progress;
    /// assert_eq!(Progress { done: 1, total: 4 }.fraction(), Some(0.25));
    /// assert_eq!(Progress { done: 1, total: 0 }.fraction(), None);
    /// ```
    #[must_use]
    pub fn fraction(self) -> Option<f64> {
        (self.total > 0).then(|| (self.done as f64 / self.total as f64).min(1.0))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            0 => write!(f, "{}", self.done),
            total => write!(f, "{}/{total}", self.done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_limited_in_number_and_length() {
        let long = "ä".repeat(1_000);
        let tags = Tags::new((0..20).map(|_| (&*long, "x")));
        assert_eq!(tags.iter().count(), Tags::MAX_TAGS);
        assert!(tags.iter().all(|(key, _)| key.len() == text::MAX_NAME_BYTES));
        assert!(tags.contains(&long, "x") && tags.get(&long) == Some("x"));
        assert!(Tags::new([]).is_empty());
    }

    #[test]
    fn the_first_of_two_tags_with_one_key_is_got() {
        let tags = Tags::new([("order", "1"), ("order", "2"), ("", "")]);
        assert_eq!(tags.get("order"), Some("1"));
        assert!(
            tags.contains("order", "2") && tags.contains("", "") && !tags.contains("2", "order")
        );
        assert_eq!(format!("{tags:?}"), r#"{"order": "1", "order": "2", "": ""}"#);
    }
}
