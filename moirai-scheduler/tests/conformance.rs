//! Tests of the schedulers of this crate against the contract.
#![cfg(feature = "conformance")]

use moirai_scheduler::{
    Deterministic, EarliestDeadline, GlobalFifo, PriorityBands, ShortFirst, Strategy,
    ThreadPerCore, WorkStealing, conformance_tests,
};

conformance_tests!(work_stealing, WorkStealing::new());
conformance_tests!(newest_first, WorkStealing::newest_first());
conformance_tests!(short_first, ShortFirst::new());
conformance_tests!(global_fifo, GlobalFifo::new());
conformance_tests!(strict_bands, PriorityBands::strict());
conformance_tests!(ageing_bands, PriorityBands::strict().ageing(10));
conformance_tests!(weighted_bands, PriorityBands::weighted([1, 2, 4, 8]));
conformance_tests!(earliest_deadline, EarliestDeadline::new());
conformance_tests!(hashed, ThreadPerCore::hashed());
conformance_tests!(sticky, ThreadPerCore::sticky());
conformance_tests!(uniform, Deterministic::with_strategy(1, Strategy::Uniform));
conformance_tests!(pct, Deterministic::with_strategy(1, Strategy::Pct { depth: 3, steps: 100 }));
