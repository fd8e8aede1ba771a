//! Checks the contract of schedulers, with moirai-scheduler's conformance tests.

use moirai_scheduler::conformance_tests;
use shortest_job_first::ShortestJobFirst;

conformance_tests!(kit, ShortestJobFirst::new());
