//! What the suites share: the peers, set up alike.
//!
//! Each suite in `benches/` is a criterion group per workload, with Moirai (tracking on) and its peers doing the same work in
//! the same run.
#![forbid(unsafe_code)]
