//! The contract, by the kit that comes with moirai-scheduler.

use moirai_scheduler::conformance_tests;
use shortest_job_first::ShortestJobFirst;

conformance_tests!(kit, ShortestJobFirst::new());
