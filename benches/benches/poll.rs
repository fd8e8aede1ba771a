//! Runs the suite `poll` under criterion; see `moirai_benches::workload::poll`.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn poll(criterion: &mut Criterion) {
    moirai_benches::criterion_suite::run(criterion, moirai_benches::workload::poll());
}

criterion_group!(suite, poll);
criterion_main!(suite);
