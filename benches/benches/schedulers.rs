//! Runs the suite `schedulers` under criterion; see `moirai_benches::workload::schedulers`.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn schedulers(criterion: &mut Criterion) {
    moirai_benches::criterion_suite::run(criterion, moirai_benches::workload::schedulers());
}

criterion_group!(suite, schedulers);
criterion_main!(suite);
