//! Runs the suite `join` under criterion; see `moirai_benches::workload::join`.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn join(criterion: &mut Criterion) {
    moirai_benches::criterion_suite::run(criterion, moirai_benches::workload::join());
}

criterion_group!(suite, join);
criterion_main!(suite);
