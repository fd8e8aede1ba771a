//! Runs the suite `registry` under criterion; see `moirai_benches::workload::registry`.
#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};

fn registry(criterion: &mut Criterion) {
    moirai_benches::criterion_suite::run(criterion, moirai_benches::workload::registry());
}

criterion_group!(suite, registry);
criterion_main!(suite);
