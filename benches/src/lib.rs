//! Moirai, with every task on its books, beside its peers doing the same work in the same run.
//!
//! [`workload`] says what is done, [`peer`] by whom. The suites in `benches/` hand the groups to criterion; the binary `figures`
//! runs them in turns, in several processes and with two allocators, and writes the page of benchmarks in the docs.
#![deny(unsafe_code)]

#[cfg(feature = "mimalloc")]
mod allocator;
pub mod chart;
pub mod compare;
pub mod criterion_suite;
pub mod measure;
pub mod memory;
pub mod old_registry;
pub mod peer;
pub mod probe;
pub mod report;
pub mod results;
pub mod stats;
pub mod watchdog;
pub mod workload;
