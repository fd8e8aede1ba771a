//! Helpers for models, which explore every interleaving within a bound on preemptions.
//!
//! A model fails in one of three ways: by an assertion, by an access that races, or by a worker that sleeps forever, which loom
//! reports as a deadlock. `RUSTFLAGS="--cfg moirai_loom" cargo test --release -p moirai-scheduler loom` runs the models.

/// Explores `model` with at most `preemptions` preemptions.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Explores `model` from its call of `loom::explore` on. What comes before runs in a single order.
pub(crate) fn explore_later(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.expect_explicit_explore = true;
    builder.check(model);
}
