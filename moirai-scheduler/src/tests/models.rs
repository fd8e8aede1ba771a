//! Models: every interleaving, within a bound on preemptions.
//!
//! A model fails in one of three ways: an assertion, an access that races, or a worker that sleeps for ever, which loom
//! reports as a deadlock. `RUSTFLAGS="--cfg moirai_loom" cargo test --release -p moirai-scheduler loom` runs them.

/// Explores `model` with at most `preemptions` preemptions.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Explores `model` from where it calls `loom::explore` on. What comes before runs in one order.
pub(crate) fn explore_later(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.expect_explicit_explore = true;
    builder.check(model);
}
