//! Runs the groups of workloads under criterion.

use criterion::{Criterion, Throughput};

use crate::watchdog::watch;
use crate::workload::Group;

/// Lets criterion measure every case of every group. One element of its throughput is one unit of the group.
pub fn run(criterion: &mut Criterion, groups: Vec<Group>) {
    for Group { name, units, cases, .. } in groups {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(units)).sample_size(10);
        for case in cases {
            group.bench_function(case.peer, |bencher| {
                bencher
                    .iter_custom(|runs| (0..runs).map(|_| watch(name, case.peer, case.run)).sum());
            });
        }
        group.finish();
    }
}
