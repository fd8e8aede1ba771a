//! Benchmarks: Moirai, with a record of every task, beside its peers, which do the same work in the same process. Some have
//! processes of their own, those of [`apart`].
//!
//! [`workload`] defines the work, and [`peer`] the executors that do it. The suites in `benches/` run the groups of workloads under
//! criterion. The binary `figures` runs them in turns, in several processes and with two allocators, and writes the page of
//! benchmarks in the docs.
#![deny(unsafe_code)]

#[cfg(feature = "mimalloc")]
mod allocator;
pub mod apart;
mod bounds;
pub mod chart;
pub mod compare;
pub mod contention;
pub mod criterion_suite;
pub mod measure;
pub mod memory;
pub mod old_registry;
pub mod probe;
pub mod report;
pub mod results;
pub mod serve;
pub mod service;
pub mod stats;
pub mod took;
pub mod watchdog;
pub mod workload;

pub use moirai_peers as peer;
pub use moirai_peers::help;
