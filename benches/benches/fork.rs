//! Runs the suite `fork` under criterion; see `moirai_benches::workload::fork`.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn fork(criterion: &mut Criterion) {
    moirai_benches::criterion_suite::run(criterion, moirai_benches::workload::fork());
}

criterion_group!(suite, fork);
criterion_main!(suite);
