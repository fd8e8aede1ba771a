//! Runs the suite `time` under criterion; see `moirai_benches::workload::time`.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn time(criterion: &mut Criterion) {
    moirai_benches::criterion_suite::run(criterion, moirai_benches::workload::time());
}

criterion_group!(suite, time);
criterion_main!(suite);
