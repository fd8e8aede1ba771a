//! Jobs in a Redis server.
//!
//! Each request is one script, which the server runs as a whole, by its own clock. A script may name any key of a queue, so this does not
//! work with Redis Cluster, where a script must name all its keys beforehand.
//!
//! # Keys
//!
//! These are laid out as by `apalis`, so that its tools show the jobs:
//!
//! | key | kind | what |
//! | --- | --- | --- |
//! | `{queue}:data` | hash | payloads by id |
//! | `{queue}:meta:ID` | hash | what else is known of a job |
//! | `{queue}:active` | list | jobs without a priority that can be taken |
//! | `{queue}:scheduled` | sorted set | jobs that wait for their time, first or again, by that time |
//! | `{queue}:inflight:CONSUMER` | set | jobs that a consumer has |
//! | `{queue}:workers` | sorted set | consumers, by when they were last seen |
//! | `{queue}:workers:metadata:CONSUMER` | hash | what kind of consumer it is |
//! | `{queue}:done`, `{queue}:dead` | sorted set | ended jobs, by when they ended |
//! | `core:apalis:queues:list` | sorted set | the names of queues, with `:workers` behind each |
//!
//! What that layout lacks, or has in a way that does not do:
//!
//! | key | kind | what, and why |
//! | --- | --- | --- |
//! | `{queue}:ranked` | sorted set | jobs with a priority that can be taken, the highest first: a list has one order |
//! | `{queue}:pending` | sorted set | jobs that no attempt has been made at or that start anew, by their time, to count those that wait |
//! | `{queue}:ids-STATE` | sorted set | the ids of the jobs in a state, to list and count them without looking at others |
//! | `{queue}:cancelled` | sorted set | as `dead`: `apalis` knows no cancelled jobs |
//! | `{queue}:idempotency` | hash | ids by key, as long as the job is there. In `apalis` each is a key of its own, which expires at once by default, and which may be that of another queue's jobs |
//! | `moirai:jobs:queues` | hash | the queue of each job: an id says nothing of it |
//!
//! The hash of a job has the fields of `apalis` (`status`, `attempts`, `max_attempts`, `idempotency_key`, `locked_by`, `locked_at`,
//! `done_at`, `result`), and further `state`, `priority` and `run_at`. `apalis` shows those as metadata.
//!
//! Jobs that `apalis` pushes are adopted when their time has come. Its workers must not serve a queue of ours: they would take jobs past
//! all that it lacks.
//!
//! # Costs
//!
//! A request takes time that grows with the jobs and queues that it is about, and not with those that the server has, but for one: to
//! cancel a job that can be taken searches `{queue}:active` for it. What may be about any number of jobs, as a purge, is done a thousand
//! jobs at a time, so that the server serves others meanwhile.

mod connection;
mod row;
mod scripts;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use store::RedisStore;
