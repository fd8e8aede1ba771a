//! The flight recorder: what each thread of the executor did lately.
//!
//! A thread that runs tasks writes its events into a [`ring`] of its own. [`tracks`] knows the rings of all threads, and hands that of
//! a thread which has ended to another one. [`incident_log`] keeps copies of what was in the rings when something went wrong.
//!
//! What an event is, and why a poll needs but one reading of the clock, is said at [`moirai_core::flight::raw`].

pub(crate) mod incident_log;
pub(crate) mod ring;
pub(crate) mod tracks;
