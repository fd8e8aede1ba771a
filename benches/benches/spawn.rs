//! Runs the suite `spawn` under criterion; see `moirai_benches::workload::spawn`.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn spawn(criterion: &mut Criterion) {
    moirai_benches::criterion_suite::run(criterion, moirai_benches::workload::spawn());
}

criterion_group!(suite, spawn);
criterion_main!(suite);
