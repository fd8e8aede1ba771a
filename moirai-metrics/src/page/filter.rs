//! Which tasks a list has.

use moirai_core::{TaskId, TaskStats};

/// Conditions on a task, all of which must hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter(Vec<Condition>);

#[derive(Debug, PartialEq, Eq)]
struct Condition {
    what: What,
    negated: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// In any text of the task, in lower case.
    Contains(String),
    Status(String),
    Kind(String),
    Priority(String),
    Cause(String),
    Worker(Option<usize>),
    Id(Option<TaskId>),
    Parent(Option<TaskId>),
    /// A key, and the value if one was given.
    Tag(String, Option<String>),
}

impl Filter {
    /// Reads a filter: conditions with spaces between them. Quotes keep a condition with spaces together.
    pub(super) fn parse(text: &str) -> Self {
        Self(words(text).iter().filter_map(|word| Condition::parse(word)).collect())
    }

    pub(super) fn matches(&self, task: &TaskStats) -> bool {
        self.0.iter().all(|condition| condition.what.holds(task) != condition.negated)
    }
}

/// Splits a text at spaces that are not inside of quotes, and drops the quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for char in text.chars() {
        match char {
            '"' => quoted = !quoted,
            _ if char.is_whitespace() && !quoted => words.push(String::new()),
            _ => {
                if let Some(word) = words.last_mut() {
                    word.push(char);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

impl Condition {
    fn parse(word: &str) -> Option<Self> {
        let (negated, word) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let lower = word.to_lowercase();
        let what = match lower.split_once(':') {
            Some(("status", value)) => What::Status(value.to_owned()),
            Some(("kind", value)) => What::Kind(value.to_owned()),
            Some(("priority", value)) => What::Priority(value.to_owned()),
            Some(("cause", value)) => What::Cause(value.to_owned()),
            Some(("worker", value)) => What::Worker(value.parse().ok()),
            Some(("id", value)) => What::Id(value.parse().ok()),
            Some(("parent", value)) => What::Parent(value.parse().ok()),
            // Keys and values are told apart by case.
            Some(("tag", _)) => {
                let tag = &word["tag:".len()..];
                match tag.split_once('=') {
                    Some((key, value)) => What::Tag(key.to_owned(), Some(value.to_owned())),
                    None => What::Tag(tag.to_owned(), None),
                }
            }
            _ => What::Contains(lower),
        };
        // A lone minus sign says nothing.
        (what != What::Contains(String::new())).then_some(Self { what, negated })
    }
}

impl What {
    fn holds(&self, task: &TaskStats) -> bool {
        match self {
            Self::Contains(part) => contains(task, part),
            Self::Status(value) => match &**value {
                "active" => task.status.is_active(),
                "ended" => task.status.is_terminal(),
                value => task.status.to_string() == value,
            },
            Self::Kind(value) => task.kind.to_string() == *value,
            Self::Priority(value) => task.priority.to_string() == *value,
            Self::Cause(value) => {
                task.cancelled_by.is_some_and(|cause| cause.to_string() == *value)
            }
            Self::Worker(value) => value.is_some() && task.worker == *value,
            Self::Id(value) => *value == Some(task.id),
            Self::Parent(value) => value.is_some() && task.parent == *value,
            Self::Tag(key, Some(value)) => task.tags.contains(key, value),
            Self::Tag(key, None) => task.tags.get(key).is_some(),
        }
    }
}

/// Returns whether one of the task's texts contains the part, which is in lower case.
fn contains(task: &TaskStats, part: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(part);
    let texts = [task.name.as_deref(), task.error.as_deref(), task.note.as_deref()];
    texts.into_iter().flatten().any(has)
        || task.tags.iter().any(|(key, value)| has(&format!("{key}={value}")))
        || has(&task.location.to_string())
        || task.id.to_string() == part
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use std::panic::Location;

    use moirai_core::{CancelCause, Priority, Tags, TaskKind, TaskStatus, Timestamp};

    use super::*;

    fn task() -> TaskStats {
        let id = TaskId::from_u64(7).unwrap();
        let (kind, priority) = (TaskKind::Async, Priority::High);
        let at = Timestamp::new(0, 0);
        let mut task = TaskStats::queued(id, kind, priority, at, Location::caller());
        task.name = Some("Resize Image".into());
        task.status = TaskStatus::Cancelled;
        task.cancelled_by = Some(CancelCause::Timeout);
        task.worker = Some(3);
        task.tags = Tags::new([("Order", "A b")]);
        task
    }

    #[test]
    fn all_conditions_must_hold() {
        for (filter, holds) in [
            ("", true),
            ("image", true),
            ("\"resize image\"", true),
            ("resize nothing", false),
            ("filter.rs", true),
            ("7", true),
            ("8888", false),
            ("order=a", true),
            ("status:cancelled kind:async priority:high cause:timeout worker:3 id:7", true),
            ("STATUS:Ended", true),
            ("status:active", false),
            ("-status:active -nothing", true),
            ("-image", false),
            ("tag:Order", true),
            ("\"tag:Order=A b\"", true),
            ("tag:order", false),
            ("worker:x", false),
            ("worker:", false),
            ("parent:1", false),
            ("id:", false),
            ("- \" -- :::", false),
            ("-", true),
            ("other:thing", false),
        ] {
            assert_eq!(Filter::parse(filter).matches(&task()), holds, "{filter}");
        }
    }
}
