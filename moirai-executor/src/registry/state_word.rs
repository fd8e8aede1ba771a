//! The word of a slot, which decides to which task the other fields belong.
//!
//! From the lowest bit: status (3 bits, zero for a free slot), kind (2), priority (2), one unused bit, worker (13), class (7), what has
//! cancelled the task (4, its place in [`CancelCause::ALL`] plus one), generation (32).

use moirai_core::{CancelCause, Priority, RetentionClass, TaskKind, TaskStatus};

use super::classes::ClassId;

/// Generation, status, kind, priority, worker and class in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateWord(pub(super) u64);

impl StateWord {
    const STATUS: u64 = 0b111;
    const KIND: u32 = 3;
    const PRIORITY: u32 = 5;
    const WORKER: u32 = 8;
    const CLASS: u32 = 21;
    const CLASS_BITS: u32 = 7;
    const CAUSE: u32 = 28;

    pub(super) fn free(generation: u32) -> Self {
        Self(u64::from(generation) << 32)
    }

    pub(super) fn queued(generation: u32, kind: TaskKind, priority: Priority) -> Self {
        let kind = match kind {
            TaskKind::Parallel => 1,
            TaskKind::Blocking => 2,
            _ => 0,
        };
        let priority = match priority {
            Priority::Low => 0,
            Priority::Normal => 1,
            Priority::High => 2,
            Priority::Critical => 3,
        };
        let word = Self::free(generation);
        Self(word.0 | kind << Self::KIND | priority << Self::PRIORITY)
            .with_status(TaskStatus::Queued)
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Returns the task's status, or `None` for a slot that is free.
    pub(super) fn status(self) -> Option<TaskStatus> {
        Some(match self.0 & Self::STATUS {
            1 => TaskStatus::Queued,
            2 => TaskStatus::Running,
            3 => TaskStatus::Completed,
            4 => TaskStatus::Cancelled,
            5 => TaskStatus::Failed,
            _ => return None,
        })
    }

    /// Returns the number of a terminal status: 0 for completed, 1 for cancelled, 2 for failed. Any other status counts as completed.
    #[inline]
    pub(super) fn outcome(self) -> usize {
        match self.0 & Self::STATUS {
            4 => 1,
            5 => 2,
            _ => 0,
        }
    }

    pub(super) fn with_status(self, status: TaskStatus) -> Self {
        let number = match status {
            TaskStatus::Queued => 1,
            TaskStatus::Running => 2,
            TaskStatus::Completed => 3,
            TaskStatus::Cancelled => 4,
            TaskStatus::Failed => 5,
        };
        Self(self.0 & !Self::STATUS | number)
    }

    pub(super) fn kind(self) -> TaskKind {
        match self.0 >> Self::KIND & 0b11 {
            1 => TaskKind::Parallel,
            2 => TaskKind::Blocking,
            _ => TaskKind::Async,
        }
    }

    pub(super) fn priority(self) -> Priority {
        Priority::ALL[(self.0 >> Self::PRIORITY & 0b11) as usize]
    }

    /// Returns the word with a class; the word must not have one yet.
    pub(super) fn with_class(self, class: ClassId) -> Self {
        const { assert!(RetentionClass::MAX_CLASSES < 1 << Self::CLASS_BITS, "each has a number") };
        Self(self.0 | u64::from(class.0) << Self::CLASS)
    }

    /// Returns the class that the task has asked for.
    #[inline]
    pub(super) fn class(self) -> ClassId {
        ClassId((self.0 >> Self::CLASS) as u8 & ((1 << Self::CLASS_BITS) - 1))
    }

    /// Returns the word with a worker; the word must not have one yet. Thirteen bits hold the index plus one, or zero for no
    /// worker, which is enough for the 4,096 workers that an executor may have.
    pub(super) fn with_worker(self, worker: Option<usize>) -> Self {
        let number = worker.map_or(0, |worker| worker as u64 + 1) & 0x1FFF;
        Self(self.0 | number << Self::WORKER)
    }

    /// Returns the word with what has cancelled the task; the word must not have that yet.
    pub(super) fn with_cause(self, cause: Option<CancelCause>) -> Self {
        let number = cause.map_or(0, |cause| cause as u64 + 1);
        Self(self.0 | number << Self::CAUSE)
    }

    pub(super) fn cause(self) -> Option<CancelCause> {
        let number = (self.0 >> Self::CAUSE & 0b1111) as usize;
        CancelCause::ALL.get(number.checked_sub(1)?).copied()
    }

    pub(super) fn worker(self) -> Option<usize> {
        ((self.0 >> Self::WORKER & 0x1FFF) as usize).checked_sub(1)
    }
}
