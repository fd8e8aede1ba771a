//! Runs the groups of workloads under criterion.

use criterion::{Criterion, Throughput};

use crate::watchdog::watch;
use crate::workload::Group;

/// Lets criterion measure every case of every group. One element of its throughput is one unit of the group.
pub fn run(criterion: &mut Criterion, groups: Vec<Group>) {
    for of in groups {
        let Group { name, units, .. } = of;
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(units)).sample_size(10);
        for turn in of.turns() {
            let once = || watch(name, turn.peer, || turn.take().wall);
            group.bench_function(turn.peer, |bencher| {
                bencher.iter_custom(|runs| (0..runs).map(|_| once()).sum());
            });
        }
        group.finish();
    }
}
