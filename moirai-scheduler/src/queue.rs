//! The queues that the schedulers are built on, behind one small interface.
//!
//! Normally they are crossbeam's. loom cannot see into those, so under models a double takes their place, and the code of the
//! schedulers themselves is explored as it is. In the ordinary tests the double has to pass the same tests of behaviour as
//! crossbeam's queues.
//!
//! There are three types of each: a [`Worker`] is the right to push to a FIFO queue and to pop from it, a [`Stealer`] is the right
//! to take from the other side of that queue, and an [`Injector`] is a FIFO queue that any thread may use. A steal returns `None`
//! only if there was nothing: after a lost race it tries again (rule 4 of the scheduler's contract).

#[cfg(not(moirai_loom))]
mod crossbeam;
#[cfg(any(test, moirai_loom))]
#[allow(unsafe_code)]
pub(crate) mod double;

#[cfg(not(moirai_loom))]
pub(crate) use crossbeam::{Injector, Stealer, Worker};
#[cfg(moirai_loom)]
pub(crate) use double::{Injector, Stealer, Worker};

#[cfg(all(test, not(moirai_loom)))]
mod tests;
