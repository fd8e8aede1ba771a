//! Tests of the parallel slice algorithms, and of parallel iterators with the feature `par-iter`.

mod common;

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::{watchdog, workers};
use moirai::par::ParSlice;

/// Returns pseudo-random numbers, always the same ones.
fn numbers(count: usize, below: u64) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        })
        .collect()
}

/// Returns inputs of many lengths and shapes.
fn inputs() -> Vec<Vec<u64>> {
    let mut inputs = Vec::new();
    for length in [0, 1, 2, 100, 4_095, 4_097, 20_000, 100_003] {
        let ascending: Vec<u64> = (0..length as u64).collect();
        let mut two_runs = ascending.clone();
        two_runs.rotate_left(length / 3);
        let mut nearly = ascending.clone();
        if length > 100 {
            nearly.swap(7, length - 7);
        }
        inputs.push(ascending.iter().rev().copied().collect());
        inputs.extend([ascending, two_runs, nearly, vec![5; length]]);
        inputs.extend([2, 50, u64::MAX].map(|below| numbers(length, below)));
    }
    inputs
}

#[test]
fn sorts_agree_with_the_standard_library() {
    let watchdog = watchdog();
    for n in [1, 2, 4] {
        let executor = workers(n);
        for input in inputs() {
            watchdog.feed(format!("{n} workers, {} numbers", input.len()));
            let mut expected = input.clone();
            expected.sort_unstable();
            let mut sorted = input.clone();
            executor.scope(|_| sorted.par_sort_unstable());
            assert!(sorted == expected, "unstable, {} numbers", input.len());
            let mut sorted = input;
            executor.scope(|_| sorted.par_sort());
            assert!(sorted == expected, "stable, {} numbers", sorted.len());
        }
    }
}

#[test]
fn a_stable_sort_keeps_the_order_of_equal_elements() {
    let _watchdog = watchdog();
    let executor = workers(4);
    for below in [1, 3, 1_000] {
        let mut pairs: Vec<(u64, Box<usize>)> =
            numbers(100_000, below).into_iter().zip((0..).map(Box::new)).collect();
        executor.scope(|_| pairs.par_sort_by_key(|pair| pair.0));
        assert!(pairs.is_sorted());
    }
}

#[test]
fn a_comparison_that_panics_loses_and_duplicates_no_element() {
    let _watchdog = watchdog();
    let executor = workers(4);
    let total = {
        let comparisons = AtomicUsize::new(0);
        let mut all = numbers(40_000, u64::MAX);
        executor.scope(|_| {
            all.par_sort_by(|a, b| {
                comparisons.fetch_add(1, SeqCst);
                a.cmp(b)
            });
        });
        comparisons.into_inner()
    };
    for stable in [true, false] {
        for round in 0..24 {
            let mut boxes: Vec<Box<u64>> =
                numbers(40_000, u64::MAX).into_iter().map(Box::new).collect();
            let mut expected: Vec<u64> = boxes.iter().map(|number| **number).collect();
            let left = AtomicUsize::new(total * round / 24);
            let compare = |a: &u64, b: &u64| -> Ordering {
                if left.fetch_sub(1, SeqCst) == 0 {
                    resume_unwind(Box::new("a comparison"));
                }
                a.cmp(b)
            };
            let caught = catch_unwind(AssertUnwindSafe(|| {
                executor.scope(|_| {
                    if stable {
                        boxes.par_sort_by(|a, b| compare(a, b));
                    } else {
                        boxes.par_sort_unstable_by(|a, b| compare(a, b));
                    }
                });
            }));
            // An element that is in the vector twice would be freed twice.
            let mut after: Vec<u64> = boxes.into_iter().map(|number| *number).collect();
            after.sort_unstable();
            expected.sort_unstable();
            assert!(after == expected, "stable: {stable}, round {round}");
            assert!(!stable || caught.is_err());
        }
    }
}

#[test]
fn sorts_begin_no_further_parts_after_a_panic() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let sort = |numbers: &mut Vec<u64>, stable: bool, panics_at: usize| {
        let comparisons = AtomicUsize::new(0);
        let compare = |a: &u64, b: &u64| {
            if comparisons.fetch_add(1, SeqCst) == panics_at {
                resume_unwind(Box::new("a comparison"));
            }
            a.cmp(b)
        };
        let caught = catch_unwind(AssertUnwindSafe(|| {
            executor.scope(|_| {
                if stable {
                    numbers.par_sort_by(compare);
                } else {
                    numbers.par_sort_unstable_by(compare);
                }
            });
        }));
        assert_eq!(caught.is_err(), panics_at < usize::MAX);
        comparisons.into_inner()
    };
    for stable in [true, false] {
        let input = numbers(400_000, u64::MAX);
        let all = sort(&mut input.clone(), stable, usize::MAX);
        // In the runs, and the first merges or the parts of the first pivots.
        for eighths in [1, 2, 7] {
            let at = all / 8 * eighths;
            let made = sort(&mut input.clone(), stable, at);
            // Each thread that has begun a part finishes it: an eighth of the elements at most.
            assert!(made < at + all / 2, "stable: {stable}; {made} of {all}, panic at {at}");
        }
    }
}

#[test]
fn comparisons_that_are_not_a_total_order_do_no_harm() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let flip = AtomicUsize::new(0);
    for _ in 0..3 {
        let mut boxes: Vec<Box<u64>> = numbers(30_000, 100).into_iter().map(Box::new).collect();
        let _ = catch_unwind(AssertUnwindSafe(|| {
            executor.scope(|_| {
                boxes.par_sort_by(|a, b| {
                    if flip.fetch_add(1, SeqCst).is_multiple_of(3) { a.cmp(b) } else { b.cmp(a) }
                });
                boxes.par_sort_unstable_by(|_, _| Ordering::Less);
            });
        }));
        assert_eq!(boxes.len(), 30_000);
    }
}

#[test]
fn elements_of_size_zero_and_elements_that_are_not_sync_are_sorted_too() {
    let _watchdog = watchdog();
    let mut units = [(); 10_000];
    units.par_sort();
    units.par_sort_unstable();
    let mut cells: Vec<std::cell::Cell<u64>> =
        numbers(20_000, 1_000).into_iter().map(std::cell::Cell::new).collect();
    cells.par_sort_by_key(std::cell::Cell::get);
    assert!(cells.is_sorted());
}

#[test]
fn a_map_keeps_the_order_and_drops_its_results_after_a_panic() {
    let _watchdog = watchdog();
    for n in [1, 2, 4] {
        let executor = workers(n);
        for length in [0, 1, 15, 1_000, 100_000] {
            let numbers = numbers(length, 1_000);
            let mapped = executor.scope(|_| numbers.par_map(|n| Box::new(n + 1)));
            assert!(mapped.iter().map(|n| **n - 1).eq(numbers.iter().copied()));
        }
        let kept = std::sync::Arc::new(());
        for at in [0, 500, 9_999] {
            let numbers: Vec<usize> = (0..10_000).collect();
            let caught = catch_unwind(AssertUnwindSafe(|| {
                executor.scope(|_| {
                    numbers.par_map(|&n| {
                        if n == at {
                            resume_unwind(Box::new("element"));
                        }
                        std::sync::Arc::clone(&kept)
                    })
                })
            }));
            assert_eq!(caught.map(drop).unwrap_err().downcast_ref(), Some(&"element"));
            assert_eq!(std::sync::Arc::strong_count(&kept), 1);
        }
    }
}

#[test]
fn each_chunk_is_visited_once_with_its_index() {
    let _watchdog = watchdog();
    let executor = workers(2);
    for (length, size) in [(0, 1), (1, 1), (10, 3), (1_000, 7), (1_000, 1_000), (5, usize::MAX)] {
        let mut numbers = vec![usize::MAX; length];
        executor.scope(|_| {
            numbers.par_for_each_chunk_mut(size, |index, chunk| {
                assert!(chunk.iter().all(|&number| number == usize::MAX));
                chunk.fill(index);
            });
        });
        assert!(numbers.iter().enumerate().all(|(at, &index)| index == at / size));
    }
    let zero = catch_unwind(|| [1, 2].par_for_each_chunk_mut(0, |_, _| ()));
    assert!(zero.is_err());
}

#[cfg(feature = "par-iter")]
mod iterators {
    use super::*;
    use moirai::Moirai;
    use moirai::par::{
        IntoPar, IterIntoPar, Par, ParDrain, ParIterable, ParMut, ParRef, ParResult,
    };

    /// Calls `f` outside of an executor, in a task, and inside of a scope.
    fn everywhere(f: impl Fn() + Clone + Send + 'static) {
        let _watchdog = watchdog();
        f();
        for n in [1, 2, 4] {
            let executor = workers(n);
            executor.scope(|_| f());
            executor.spawn_parallel(f.clone()).join().unwrap();
        }
    }

    #[test]
    fn iterators_sum_map_filter_and_collect_in_order() {
        everywhere(|| {
            let numbers = super::numbers(20_000, 1_000);
            assert_eq!(numbers.par().copied().sum::<u64>(), numbers.iter().sum::<u64>());
            let mapped: Vec<u64> = numbers.par().map(|n| n * 2).filter(|n| n % 3 == 0).collect();
            let expected: Vec<u64> = numbers.iter().map(|n| n * 2).filter(|n| n % 3 == 0).collect();
            assert!(mapped == expected);
            assert_eq!((0..1_000usize).par().map(|n| n + 1).sum::<usize>(), 500_500);
            assert_eq!(numbers.clone().into_par().max(), numbers.iter().copied().max());
            assert_eq!(numbers.par().copied().reduce(u64::min), numbers.iter().copied().min());
        });
    }

    #[test]
    fn find_returns_the_first_match_and_any_and_all_agree_with_it() {
        everywhere(|| {
            let numbers: Vec<u64> = (0..50_000).collect();
            assert_eq!(numbers.par().find(|n| **n % 1_000 == 999), Some(&999));
            assert!(numbers.par().any(|n| **n == 49_999));
            assert!(!numbers.par().all(|n| **n < 49_999));
        });
    }

    #[test]
    fn elements_can_be_changed_in_place_and_drained() {
        everywhere(|| {
            let mut numbers: Vec<u64> = (0..10_000).collect();
            numbers.par_mut().for_each(|n| *n += 1);
            assert!(numbers.iter().copied().eq(1..=10_000));
            assert_eq!(numbers.par_drain(5_000..).count(), 5_000);
            assert_eq!(numbers.len(), 5_000);
        });
    }

    #[test]
    fn any_iterator_can_be_made_parallel_and_results_can_be_collected() {
        everywhere(|| {
            let lines = "1 22 333 4444".split(' ');
            let lengths: Vec<usize> = lines.iter_into_par().map(str::len).collect();
            assert_eq!(lengths, [1, 2, 3, 4]);
            let parse = |text: Vec<&'static str>| -> Result<Vec<i32>, std::num::ParseIntError> {
                text.into_par().map(str::parse::<i32>).into_fallible().collect()
            };
            assert_eq!(parse(vec!["1", "2"]).unwrap(), [1, 2]);
            assert!(parse(vec!["1", "two"]).is_err());
        });
    }

    #[test]
    fn the_work_runs_on_the_executor_whose_scope_it_is_in() {
        let _watchdog = watchdog();
        let executor = workers(2);
        let foreign = AtomicUsize::new(0);
        let me = std::thread::current().id();
        executor.scope(|_| {
            (0..10_000usize).par().for_each(|_| {
                let here = std::thread::current().id() == me || Moirai::worker_index().is_some();
                foreign.fetch_add(usize::from(!here), SeqCst);
            });
        });
        assert_eq!(foreign.into_inner(), 0);
    }

    #[test]
    fn a_panic_is_passed_on() {
        let _watchdog = watchdog();
        let executor = workers(2);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            executor.scope(|_| {
                (0..10_000usize).par().for_each(|n| {
                    if n == 7_000 {
                        resume_unwind(Box::new("item"));
                    }
                });
            });
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"item"));
    }

    #[test]
    fn after_a_panic_no_thread_takes_another_chunk() {
        let _watchdog = watchdog();
        let executor = workers(2);
        let calls = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            executor.scope(|_| {
                // Without an end for as long as this test may take.
                (0..usize::MAX).par().for_each(|_| {
                    if calls.fetch_add(1, SeqCst) == 100_000 {
                        resume_unwind(Box::new("item"));
                    }
                });
            });
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"item"));
    }

    #[test]
    fn an_iterator_of_a_task_that_is_cancelled_ends() {
        let _watchdog = watchdog();
        for n in [1, 2, 4] {
            let executor = workers(n);
            let (begun, has_begun) = std::sync::mpsc::channel();
            let task = executor.spawn_parallel(move || {
                let begin = std::sync::Once::new();
                (0..usize::MAX).par().for_each(|_| begin.call_once(|| begun.send(()).unwrap()));
            });
            has_begun.recv().unwrap();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        }
    }

    #[test]
    fn in_a_destructor_of_a_cancelled_task_an_iterator_is_run_to_its_end() {
        let _watchdog = watchdog();
        let executor = workers(2);
        let sum = std::sync::Arc::new(AtomicUsize::new(0));
        let in_destructor = std::sync::Arc::clone(&sum);
        let (begun, has_begun) = std::sync::mpsc::channel();
        let task = executor.spawn_parallel(move || {
            let _sums = common::OnDrop::new(|| {
                in_destructor.store((0..1_000usize).par().sum::<usize>(), SeqCst);
            });
            begun.send(()).unwrap();
            loop {
                moirai::join(|| (), || ());
            }
        });
        has_begun.recv().unwrap();
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(sum.load(SeqCst), 499_500);
    }

    #[test]
    fn an_iterator_is_not_stopped_by_a_cancellation_that_its_executor_does_not_know_of() {
        let _watchdog = watchdog();
        let (outer, inner) = (workers(1), workers(2));
        let (begun, has_begun) = std::sync::mpsc::channel();
        let task = outer.spawn_parallel(move || {
            begun.send(()).unwrap();
            while !moirai::is_cancelled() {
                std::thread::yield_now();
            }
            inner.scope(|_| (0..1_000usize).par().sum::<usize>())
        });
        has_begun.recv().unwrap();
        task.cancel();
        // As with `join`: what is called on another executor goes on, and the task ends as cancelled or with its result.
        match task.join() {
            Ok(sum) => assert_eq!(sum, 499_500),
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
    }

    #[test]
    fn what_the_guide_names_for_those_who_come_from_rayon_is_there() {
        use moirai::par::{ChunkSize, IterationOrder, prelude::*};
        everywhere(|| {
            let words = vec!["to", "be", "or", "not"];
            let lengths = || words.par().copied().map(str::len);
            assert_eq!(lengths().inspect(|length| assert!(*length > 1)).count(), 4);
            assert_eq!(
                words.par().cloned().filter_map(|word| word.chars().next()).max(),
                Some('t')
            );
            assert_eq!(words.par().max_by_key(|word| word.len()), Some(&"not"));
            assert_eq!(words.par().min_by_key(|word| word.len()).map(|word| word.len()), Some(2));
            assert_eq!(lengths().max_by(usize::cmp), lengths().min_by(|a, b| b.cmp(a)));
            assert_eq!(words.par().flat_map(|word| word.bytes()).count(), 9);
            assert_eq!(words.par().map(|word| word.bytes()).flatten().count(), 9);
            assert_eq!(lengths().reduce(|a, b| a + b), Some(9));
            let any = lengths().iteration_order(IterationOrder::Arbitrary).find(|n| *n == 2);
            assert_eq!(any, Some(2));
            let sums = lengths().fold(|| 0, |sum, length| *sum += length);
            assert_eq!(sums.into_iter().sum::<usize>(), 9);
            let mut collected = vec![7];
            lengths()
                .chunk_size(ChunkSize::Min(2.try_into().unwrap()))
                .collect_into(&mut collected);
            assert_eq!(collected, [7, 2, 2, 2, 3]);
            let used = words.par().use_new(|_| String::new()).map(|buffer, word| {
                buffer.clear();
                buffer.push_str(word);
                buffer.len()
            });
            assert_eq!(used.sum::<usize>(), 9);
            let texts = vec!["1", "2", "x"];
            let parsed = || texts.par().map(|text| text.parse::<u32>());
            assert!(parsed().into_fallible().for_each(|_| ()).is_err());
            assert!(parsed().into_fallible().reduce(|a, b| a + b).is_err());
            assert_eq!(parsed().map(Result::ok).into_optional().collect::<Vec<_>>(), None);
        });
    }

    #[test]
    fn a_closure_that_is_not_copy_is_passed_by_reference() {
        everywhere(|| {
            let names = [String::from("clotho"), String::from("atropos")];
            let is_long = move |length: &usize| *length > names[0].len();
            assert_eq!(vec![6, 7, 8].into_par().filter(&is_long).count(), 2);
        });
    }
}

#[test]
fn a_map_stops_on_all_threads_after_a_panic() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let (calls, panicked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let elements: Vec<usize> = (0..1_000_000).collect();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        executor.scope(|_| {
            elements.par_map(|&element| {
                let before = calls.fetch_add(1, SeqCst);
                // The others go on until the panic has been noted.
                if panicked.load(SeqCst) > 0 {
                    std::thread::yield_now();
                }
                if before == 1_000 {
                    panicked.store(1, SeqCst);
                    resume_unwind(Box::new("element"));
                }
                element
            });
        });
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"element"));
    assert!(calls.load(SeqCst) < elements.len() / 2, "{} calls", calls.load(SeqCst));
}

#[test]
fn chunks_are_not_begun_after_a_panic() {
    let _watchdog = watchdog();
    let executor = workers(2);
    let calls = AtomicUsize::new(0);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        executor.scope(|_| {
            vec![0; 100_000].par_for_each_chunk_mut(1, |_, _| {
                calls.fetch_add(1, SeqCst);
                resume_unwind(Box::new("chunk"));
            });
        });
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"chunk"));
    // One for each thread that had not learned of it: the two workers and the caller.
    assert!(calls.load(SeqCst) <= 3, "{}", calls.load(SeqCst));
    // In a destructor while the thread is unwinding, all are called.
    let called = AtomicUsize::new(0);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _loops = common::OnDrop::new(|| {
            vec![0; 100].par_for_each_chunk_mut(1, |_, _| _ = called.fetch_add(1, SeqCst));
        });
        resume_unwind(Box::new("outer"));
    }));
    assert_eq!((caught.unwrap_err().downcast_ref(), called.load(SeqCst)), (Some(&"outer"), 100));
}
