//! The operations that are measured.

use super::threads::Load;
use super::{queues, records, sleepers, threads};

/// Something that is done over and over, with the state of some number of workers.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The name, which is also used on the command line.
    pub name: &'static str,
    /// What one operation is.
    pub about: &'static str,
    /// The least number of workers for each thread that drives them.
    pub least: usize,
    /// The largest number of threads that can do it at the same time.
    pub threads: usize,
    /// How many operations each thread does in a run, unless a caller says otherwise.
    pub times: usize,
    /// Makes the state, and returns how long one thread took for an operation on average, in nanoseconds.
    pub run: fn(Load) -> f64,
}

/// All operations.
pub const OPERATIONS: [Operation; 14] = [
    Operation {
        name: "line",
        about: "add to one of N counts, each on a cache line of its own",
        least: 0,
        threads: usize::MAX,
        times: 1_000_000,
        run: threads::add_to_lines,
    },
    Operation {
        name: "record",
        about: "record a task from its spawn to the eviction of its record, with N writers and 10,000 records",
        least: 1,
        threads: usize::MAX,
        times: 100_000,
        run: records::record,
    },
    Operation {
        name: "record_roomy",
        about: "the same with 512 records for each of the N writers, but at least 10,000",
        least: 1,
        threads: usize::MAX,
        times: 100_000,
        run: records::record_roomy,
    },
    Operation {
        name: "record_exact",
        about: "the same with a limit so small for N writers that it is exact",
        least: 1,
        threads: usize::MAX,
        times: 10_000,
        run: records::record_exact,
    },
    Operation {
        name: "record_outside",
        about: "the same with the writers that threads share which are not workers, beside N others",
        least: 1,
        threads: usize::MAX,
        times: 100_000,
        run: records::record_outside,
    },
    Operation {
        name: "record_named",
        about: "as `record`, but one of the threads, if there are several, gives its tasks names, and is not timed",
        least: 1,
        threads: usize::MAX,
        times: 100_000,
        run: records::record_beside_names,
    },
    Operation {
        name: "sweep",
        about: "a sweep that finds nothing to evict, of N logs with 10,000 records",
        least: 1,
        threads: 1,
        times: 200,
        run: records::sweep,
    },
    Operation {
        name: "push_pop",
        about: "push a task to the worker's own queue, one of N, and pop it",
        least: 1,
        threads: usize::MAX,
        times: 500_000,
        run: queues::push_pop,
    },
    Operation {
        name: "look",
        about: "look through N queues, and find nothing",
        least: 1,
        threads: usize::MAX,
        times: 20_000,
        run: queues::look,
    },
    Operation {
        name: "steal",
        about: "push a task to the last of N queues, and steal it for the first",
        least: 2,
        threads: 1,
        times: 20_000,
        run: queues::steal,
    },
    Operation {
        name: "push_pop_watched",
        about: "as `push_pop`, while one of the threads, if there are several, looks through all N queues, and is not timed",
        least: 1,
        threads: usize::MAX,
        times: 100_000,
        run: queues::push_pop_watched,
    },
    Operation {
        name: "outside",
        about: "push a task from outside, and pop it by one of N workers",
        least: 1,
        threads: usize::MAX,
        times: 100_000,
        run: queues::outside,
    },
    Operation {
        name: "announce",
        about: "announce that a worker will sleep, and withdraw that, while all others of N sleep",
        least: 1,
        threads: usize::MAX,
        times: 100_000,
        run: sleepers::announce,
    },
    Operation {
        name: "wake",
        about: "wake one of N sleeping workers: what the thread does that wakes it",
        least: 1,
        threads: 1,
        times: 50,
        run: sleepers::wake,
    },
];
