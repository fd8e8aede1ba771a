//! The queues that the schedulers stand on, behind one small interface.
//!
//! Ordinarily they are crossbeam's. loom cannot see into those, so under models a double takes their place, and the
//! schedulers' own code is explored as it is. The double earns its keep in the ordinary tests, where it has to pass the
//! same tests of behaviour as crossbeam's queues.
//!
//! Three types each: a [`Worker`] is the right to push to one FIFO queue and to pop from it, a [`Stealer`] the right to
//! take from its other side, and an [`Injector`] is a FIFO queue for everyone. What steals says `None` only if there
//! was nothing: a lost race is tried again (rule 4 of the scheduler's contract).

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
