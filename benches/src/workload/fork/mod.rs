//! Fork-join work: Moirai beside chili, rayon and what one thread does alone.
//!
//! *Inside* is in a parallel task whose spawner waits for it with `join`, and in rayon's `install`; *outside* is on a thread that is no
//! worker. chili knows no difference.

mod coarse;
mod data;
mod fine;
mod groups;
mod mixed;
mod setup;
mod sorts;

pub(super) use groups::groups;
