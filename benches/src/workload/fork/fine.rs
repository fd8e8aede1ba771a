//! The smallest work: what a `join` itself costs.

use std::hint::black_box;
use std::sync::OnceLock;

use chili::Scope;

use super::setup::{at_most, chili, heavy, in_rayon, inside, keep, outside, rayon, single, time};
use crate::peer::{Ours, workers};
use crate::workload::group::{Case, Group, RAYON_ON_MOIRAI};

/// The argument of `fibonacci`.
const FIBONACCI: u32 = 30;
/// The number of joins that it takes.
const JOINS: u64 = 1_346_268;

/// The number of joins of `fork_outermost_join`.
const OUTERMOST: u64 = 200_000;

const LEVELS: u32 = 10;
const NODES: u64 = (1 << LEVELS) - 1;
/// How many times one run sums the tree.
const TREES: u64 = 200;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "fork_fib_two_workers",
            about: "compute fib(30) by recursion without a cut-off, inside, on two workers",
            unit: "join",
            units: JOINS,
            rounds: 15,
            reach: None,
            figures: vec![at_most("chili", 1.2), at_most("rayon", 0.45), RAYON_ON_MOIRAI],
            cases: vec![
                Case { peer: "moirai", run: || inside(|| keep(fibonacci(FIBONACCI))) },
                Case {
                    peer: "chili",
                    run: || {
                        let scope = &mut chili(workers()).scope();
                        time(|| keep(chili_fibonacci(scope, FIBONACCI)))
                    },
                },
                Case { peer: "rayon", run: || in_rayon(|| keep(rayon_fibonacci(FIBONACCI))) },
                #[cfg(feature = "forte")]
                Case {
                    peer: "forte",
                    run: || {
                        use crate::peer::{Forte, Peer};
                        Forte::start();
                        Forte::pool()
                            .with_worker(|worker| time(|| keep(forte_fibonacci(worker, FIBONACCI))))
                    },
                },
                Case {
                    peer: "one thread alone",
                    run: || time(|| keep(sequential_fibonacci(FIBONACCI))),
                },
            ],
        },
        Group {
            name: "fork_fib_one_worker",
            about: "compute fib(30) by recursion without a cut-off, on one thread",
            unit: "join",
            units: JOINS,
            rounds: 15,
            reach: None,
            figures: vec![at_most("chili", 1.5), at_most("rayon", 0.35), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || single().scope(|_| time(|| keep(fibonacci(FIBONACCI)))),
                },
                Case {
                    peer: "chili",
                    run: || {
                        let scope = &mut chili(1).scope();
                        time(|| keep(chili_fibonacci(scope, FIBONACCI)))
                    },
                },
                Case {
                    peer: "rayon",
                    run: || rayon(1).install(|| time(|| keep(rayon_fibonacci(FIBONACCI)))),
                },
            ],
        },
        Group {
            name: "fork_outermost_join",
            about: "join two closures that do nothing, from outside of other fork-join work, inside",
            unit: "join",
            units: OUTERMOST,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 1.0), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        inside(|| {
                            keep(outermost(|| moirai::join(|| black_box(1), || black_box(2))))
                        })
                    },
                },
                Case {
                    peer: "chili",
                    run: || {
                        let scope = &mut chili(workers()).scope();
                        outermost(|| scope.join(|_| black_box(1), |_| black_box(2)))
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        in_rayon(|| {
                            keep(outermost(|| ::rayon::join(|| black_box(1), || black_box(2))))
                        })
                    },
                },
            ],
        },
        Group {
            name: "fork_tree_outside",
            about: "sum a tree of 1,023 nodes, outside",
            unit: "node",
            units: NODES * TREES,
            rounds: 25,
            reach: None,
            figures: vec![at_most("chili", 1.0), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        let executor = Ours::executor();
                        repeat(|tree| executor.scope(|_| sum(tree)))
                    },
                },
                chili_tree(),
                Case {
                    peer: "rayon",
                    run: || repeat(|tree| rayon(workers()).install(|| rayon_sum(tree))),
                },
                sequential_tree(),
            ],
        },
        Group {
            name: "fork_tree_inside",
            about: "sum a tree of 1,023 nodes, inside",
            unit: "node",
            units: NODES * TREES,
            rounds: 25,
            reach: None,
            figures: vec![at_most("chili", 1.0), RAYON_ON_MOIRAI],
            cases: vec![
                Case { peer: "moirai", run: || inside(|| keep(repeat(sum))) },
                chili_tree(),
                Case { peer: "rayon", run: || in_rayon(|| keep(repeat(rayon_sum))) },
                sequential_tree(),
            ],
        },
        Group {
            name: "fork_map_sum_1k",
            about: "map and sum 1,000 elements with a parallel iterator, outside",
            unit: "run",
            units: TREES,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 0.3), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        use moirai::par::{Par, ParRef};
                        let numbers = numbers();
                        outside(|| {
                            for _ in 0..TREES {
                                black_box(numbers.par().map(|n| heavy(*n)).sum::<u64>());
                            }
                        })
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        use ::rayon::prelude::*;
                        let numbers = numbers();
                        let once = || numbers.par_iter().map(|n| heavy(*n)).sum::<u64>();
                        time(|| {
                            for _ in 0..TREES {
                                black_box(rayon(workers()).install(once));
                            }
                        })
                    },
                },
                Case {
                    peer: "one thread alone",
                    run: || {
                        let numbers = numbers();
                        time(|| {
                            for _ in 0..TREES {
                                black_box(numbers.iter().map(|n| heavy(*n)).sum::<u64>());
                            }
                        })
                    },
                },
            ],
        },
    ]
}

fn outermost(mut join: impl FnMut() -> (u64, u64)) -> std::time::Duration {
    time(|| {
        for _ in 0..OUTERMOST {
            assert_eq!(join(), (1, 2));
        }
    })
}

fn fibonacci(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = moirai::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    a + b
}

fn rayon_fibonacci(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = ::rayon::join(|| rayon_fibonacci(n - 1), || rayon_fibonacci(n - 2));
    a + b
}

fn chili_fibonacci(scope: &mut Scope<'_>, n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = scope.join(|s| chili_fibonacci(s, n - 1), |s| chili_fibonacci(s, n - 2));
    a + b
}

#[cfg(feature = "forte")]
fn forte_fibonacci(worker: &forte::Worker, n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = worker.join(|w| forte_fibonacci(w, n - 1), |w| forte_fibonacci(w, n - 2));
    a + b
}

fn sequential_fibonacci(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    black_box(sequential_fibonacci(n - 1)) + black_box(sequential_fibonacci(n - 2))
}

struct Node {
    value: u64,
    children: Option<Box<[Node; 2]>>,
}

impl Node {
    fn tree(levels: u32) -> Self {
        let children =
            (levels > 1).then(|| Box::new([Self::tree(levels - 1), Self::tree(levels - 1)]));
        Self { value: 1, children }
    }
}

fn tree() -> &'static Node {
    static TREE: OnceLock<Node> = OnceLock::new();
    TREE.get_or_init(|| Node::tree(LEVELS))
}

fn repeat(sum: impl Fn(&Node) -> u64) -> std::time::Duration {
    let tree = tree();
    time(|| {
        for _ in 0..TREES {
            assert_eq!(black_box(sum(tree)), NODES);
        }
    })
}

fn sum(node: &Node) -> u64 {
    let Some(children) = &node.children else { return node.value };
    let (left, right) = moirai::join(|| sum(&children[0]), || sum(&children[1]));
    node.value + left + right
}

fn rayon_sum(node: &Node) -> u64 {
    let Some(children) = &node.children else { return node.value };
    let (left, right) = ::rayon::join(|| rayon_sum(&children[0]), || rayon_sum(&children[1]));
    node.value + left + right
}

fn chili_sum(scope: &mut Scope<'_>, node: &Node) -> u64 {
    let Some(children) = &node.children else { return node.value };
    let (left, right) = scope.join(|s| chili_sum(s, &children[0]), |s| chili_sum(s, &children[1]));
    node.value + left + right
}

fn sequential_sum(node: &Node) -> u64 {
    let Some(children) = &node.children else { return node.value };
    node.value + sequential_sum(&children[0]) + sequential_sum(&children[1])
}

fn chili_tree() -> Case {
    Case { peer: "chili", run: || repeat(|tree| chili_sum(&mut chili(workers()).scope(), tree)) }
}

fn sequential_tree() -> Case {
    Case { peer: "one thread alone", run: || repeat(sequential_sum) }
}

fn numbers() -> &'static Vec<u64> {
    static NUMBERS: OnceLock<Vec<u64>> = OnceLock::new();
    NUMBERS.get_or_init(|| (0..1_000).collect())
}
