//! What a record says of a task only if it was asked to: its parent, tags, and how far it has come.

use std::sync::Arc;

use moirai_core::shim::sync::Mutex;
use moirai_core::{Progress, Tags, TaskId, text};

/// The details of a task. They are made when the task is spawned, or when it first tells how far it has come, and then shared by all
/// copies of its record.
#[derive(Debug, Default)]
pub struct TaskDetails {
    parent: Option<TaskId>,
    tags: Tags,
    told: Mutex<Told>,
}

/// What a task has told of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) progress: Option<Progress>,
    pub(super) note: Option<Arc<str>>,
}

impl TaskDetails {
    /// Creates the details of a task with this parent and these tags.
    #[must_use]
    pub fn new(parent: Option<TaskId>, tags: Tags) -> Self {
        Self { parent, tags, told: Mutex::default() }
    }

    /// Sets how far the task has come.
    pub fn set_progress(&self, progress: Progress) {
        self.told.lock().progress = Some(progress);
    }

    /// Sets what the task is about, in words, of which [`MAX_NAME_BYTES`](text::MAX_NAME_BYTES) bytes are kept.
    pub fn set_note(&self, note: &str) {
        let note = Arc::from(text::cut(note, text::MAX_NAME_BYTES));
        self.told.lock().note = Some(note);
    }

    pub(super) fn parent(&self) -> Option<TaskId> {
        self.parent
    }

    pub(super) fn tags(&self) -> &Tags {
        &self.tags
    }

    pub(super) fn told(&self) -> Told {
        self.told.lock().clone()
    }

    /// Returns the bytes held, with those of a note of full length, whether there is one or not.
    pub(super) fn bytes(&self) -> usize {
        let tags = self.tags.iter().map(|(key, value)| key.len() + value.len() + 64);
        size_of::<Self>() + text::MAX_NAME_BYTES + tags.sum::<usize>()
    }
}
