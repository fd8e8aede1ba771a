//! The form in which events are written and kept: two words each.
//!
//! The low [`KIND_BITS`] bits of the second word are the event's [`RawKind`], and the others its *value*. What the first word and
//! the value are depends on the kind.
//!
//! To record a poll, a thread must write little. So what can be concluded is left out. A thread polls one task after the other, and
//! reads the clock once in between: the end of one poll is the start of the next. So an event has one time, its end, and its start is
//! the *mark* before it: the end of the last event that sets the mark. A wake-up has no time at all, but whether it happened during a
//! poll: of which, the next event of a poll says. One that happened right after an event which ended a task is the work of that task.
//!
//! This is the interface between an executor and the decoder, and not for users.

use crate::{Clock, TaskId, ThreadKind, Timestamp};

/// The number of bits of the second word that tell the kind.
pub const KIND_BITS: u32 = 4;

/// An event: its two words.
pub type Words = [u64; 2];

/// The kinds of events. "Mark" says that the value is a time in ticks, which becomes the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RawKind {
    /// A poll returned `Pending`. Task; mark.
    Pending = 0,
    /// A poll completed its task. Task; mark.
    Completed = 1,
    /// The task of a poll has failed. Task; mark.
    Failed = 2,
    /// A cancelled task was ended. Task; mark.
    Cancelled = 3,
    /// The thread has stopped being idle. 1 if it slept, or 0; mark.
    Idle = 4,
    /// The thread has run a stolen job. The task whose fork-join work it is, or 0; mark.
    Job = 5,
    /// The thread begins, or goes on after something that is not an event. 0; mark.
    Mark = 6,
    /// What follows is inside of what the thread was doing. 0; mark.
    Inner = 7,
    /// What was inside is over, and the mark is again the one before. 0; 0.
    Outer = 8,
    /// The thread is in a poll, which no other source tells. Task; 0.
    Inside = 9,
    /// A task was spawned. Task; time in ticks.
    Spawned = 10,
    /// A task was woken. Task; 1 if that was during a poll, or 0 if it was after the last event that sets the mark.
    Woken = 11,
    /// A wait for a deadline is over, of the task that is being polled. 0; by how many nanoseconds it was late.
    TimerFired = 12,
    /// Tasks were taken from another worker. Its index; 0.
    Stole = 13,
    /// A stall was noticed. Task; time in ticks.
    StallBegan = 14,
    /// The end of a stall was noticed. Task; time in ticks.
    StallEnded = 15,
}

impl RawKind {
    const ALL: [Self; 16] = [
        Self::Pending,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Idle,
        Self::Job,
        Self::Mark,
        Self::Inner,
        Self::Outer,
        Self::Inside,
        Self::Spawned,
        Self::Woken,
        Self::TimerFired,
        Self::Stole,
        Self::StallBegan,
        Self::StallEnded,
    ];

    /// Returns whether the value is a time that becomes the mark.
    #[must_use]
    pub const fn sets_mark(self) -> bool {
        (self as u8) < Self::Outer as u8
    }

    /// Returns the task that an event is about, if it is about one.
    #[must_use]
    pub const fn task_of([first, second]: Words) -> Option<TaskId> {
        match Self::split(second).0 {
            Self::Idle | Self::Stole => None,
            // It is zero where there is none.
            _ => TaskId::from_u64(first),
        }
    }

    /// Returns the second word of an event of this kind. Only the low 60 bits of `value` are kept.
    #[inline]
    #[must_use]
    pub const fn with(self, value: u64) -> u64 {
        (value << KIND_BITS) | self as u64
    }

    /// Returns the kind and the value of a second word.
    #[must_use]
    pub const fn split(word: u64) -> (Self, u64) {
        // Below 16, because it has four bits.
        (Self::ALL[(word & ((1 << KIND_BITS) - 1)) as usize], word >> KIND_BITS)
    }
}

/// What a thread was in when its ring was read, if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// It was not known.
    Unknown,
    /// It had nothing to do.
    Idle,
    /// It polled a task.
    Polls(TaskId),
    /// It ran a stolen job.
    RunsJob,
}

/// What was read from the ring of one thread.
#[derive(Clone, Debug)]
pub struct RawThread {
    /// The thread's name.
    pub name: String,
    /// What the thread is for; `None` for one that runs no tasks.
    pub kind: Option<ThreadKind>,
    /// Whether the thread had ended.
    pub ended: bool,
    /// The events, oldest first.
    pub events: Vec<Words>,
    /// The number of events before these, which were overwritten.
    pub overwritten: u64,
    /// What the thread was in.
    pub now: Now,
    /// The worker that the thread was, if it was one.
    pub worker: Option<usize>,
}

/// Converts the times of events.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    converter: crate::clock::Converter,
    /// The clock at the moment of the converter.
    ticks: u64,
}

impl Times {
    /// Reads the clock, after the rings have been read.
    #[must_use]
    pub fn now(clock: &Clock) -> Self {
        // In this order, the converter knows of every moment up to `ticks`.
        let ticks = clock.ticks();
        Self { converter: clock.converter(), ticks }
    }

    /// Returns the moment at which the rings had been read.
    #[must_use]
    pub fn taken_at(&self) -> Timestamp {
        self.converter.timestamp(self.ticks)
    }

    /// Returns the moment at which the clock showed the ticks whose low 60 bits are `value`.
    #[must_use]
    pub fn timestamp(&self, value: u64) -> Timestamp {
        self.converter.timestamp(self.ticks_of(value))
    }

    /// Returns the ticks whose low 60 bits are `value`: of those that have these bits, the ones closest to now.
    #[must_use]
    pub const fn ticks_of(&self, value: u64) -> u64 {
        const BITS: u32 = u64::BITS - KIND_BITS;
        // Shifted up, the difference wraps around at 60 bits, and its sign is that of a number of 64.
        let ahead =
            (value.wrapping_sub(self.ticks) << KIND_BITS).cast_signed() >> (u64::BITS - BITS);
        self.ticks.saturating_add_signed(ahead)
    }

    /// Returns how many of the oldest events can be left out, because what ended at `since`, in ticks, or later, is decoded without
    /// them.
    #[must_use]
    pub fn skip_before(&self, events: &[Words], since: u64) -> usize {
        let before = events.iter().rposition(|&[_, second]| {
            let (kind, value) = RawKind::split(second);
            kind.sets_mark() && self.ticks_of(value) < since
        });
        before.unwrap_or(0)
    }

    /// Returns the ticks that the clock showed `duration` before the rings were read; 0 if that was before its start.
    #[must_use]
    pub fn ticks_before(&self, duration: std::time::Duration) -> u64 {
        self.converter.ticks_before_now(duration).unwrap_or(0)
    }
}
