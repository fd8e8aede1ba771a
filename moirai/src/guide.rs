//! The chapters of the guide and of the schedulers' manual as doctests. Compiled for doctests only.

#[doc = include_str!("../../docs/src/guide/first-program.md")]
mod first_program {}

#[doc = include_str!("../../docs/src/guide/spawning.md")]
mod spawning {}

#[doc = include_str!("../../docs/src/guide/records.md")]
mod records {}

#[doc = include_str!("../../docs/src/guide/retention.md")]
mod retention {}

#[doc = include_str!("../../docs/src/guide/blocking.md")]
mod blocking {}

#[doc = include_str!("../../docs/src/guide/metrics.md")]
mod metrics {}

#[cfg(feature = "page")]
#[doc = include_str!("../../docs/src/guide/page.md")]
mod page {}

#[doc = include_str!("../../docs/src/guide/from-rayon.md")]
mod from_rayon {}

#[doc = include_str!("../../docs/src/guide/shutdown.md")]
mod shutdown {}

#[doc = include_str!("../../docs/src/guide/jobs.md")]
mod jobs {}

#[doc = include_str!("../../docs/src/guide/other-crates.md")]
mod other_crates {}

#[doc = include_str!("../../docs/src/guide/find-the-race.md")]
mod find_the_race {}

#[doc = include_str!("../../docs/src/guide/write-your-own-scheduler.md")]
mod write_your_own_scheduler {}

#[doc = include_str!("../../docs/src/schedulers/README.md")]
mod choosing_a_scheduler {}

#[doc = include_str!("../../docs/src/schedulers/priority-bands.md")]
mod priority_bands {}

#[doc = include_str!("../../docs/src/schedulers/earliest-deadline.md")]
mod earliest_deadline {}

#[doc = include_str!("../../docs/src/schedulers/short-first.md")]
mod short_first {}

#[doc = include_str!("../../docs/src/schedulers/thread-per-core.md")]
mod thread_per_core {}

#[doc = include_str!("../../docs/src/guide/extending.md")]
mod extending {}

#[doc = include_str!("../../docs/src/guide/last-night.md")]
mod last_night {}

#[doc = include_str!("../../docs/src/guide/when-a-task-hangs.md")]
mod when_a_task_hangs {}

#[doc = include_str!("../../docs/src/guide/limits.md")]
mod limits {}

#[doc = include_str!("../../docs/src/guide/time-in-tests.md")]
mod time_in_tests {}

#[doc = include_str!("../../docs/src/guide/from-tokio.md")]
mod from_tokio {}
