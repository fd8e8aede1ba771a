//! The workloads: the work that the peers do, and the time that one run of it takes.

mod closures;
mod countdown;
mod everywhere;
mod fork;
mod group;
mod join;
mod poll;
mod recorder;
mod registry;
mod schedulers;
mod spawn;
mod suites;
mod time;
mod turn;
mod wake;

pub use group::{Case, Figure, Group, OURS};
pub use suites::{all, chosen_by, fork, join, poll, registry, schedulers, spawn, time};
pub use turn::Turn;
