//! The keys after any sequence of requests.

use std::time::Duration;

use super::harness::{consumer, ended, job, retry, with_server};
use crate::JobId;
use crate::record::JobState;
use crate::store::contract::{Consumer, Filter, NewJob, Outcome, Store, Taken};

/// Numbers that look random, and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn outcome(random: &mut Random, taken: &Taken) -> Outcome {
    let error = "no".to_owned();
    match random.below(5) {
        0 => Outcome::GivenBack,
        1 => Outcome::Permanent { error },
        2 => Outcome::Done,
        _ if taken.attempts + 1 >= taken.max_attempts => Outcome::Exhausted { error },
        3 => retry(Duration::ZERO),
        _ => retry(Duration::from_secs(60)),
    }
}

#[test]
fn each_job_is_where_its_state_says_after_any_requests() {
    with_server(|mut server| async move {
        let mut random = Random(7);
        let queues = ["q", "q:meta", "r"];
        let mut consumers: Vec<(Consumer, Vec<Taken>)> = (0..6)
            .map(|n| {
                (Consumer { queue: queues[n % 3].into(), ..consumer(&n.to_string()) }, Vec::new())
            })
            .collect();
        let mut ids: Vec<JobId> = Vec::new();
        for step in 0..1_500 {
            let (queue, which) = (queues[random.below(3)], random.below(6));
            let (consumer, held) = &mut consumers[which];
            let any = random.below(ids.len().max(1));
            match random.below(12) {
                0..4 => {
                    let run_at = (random.below(4) == 0).then(|| super::harness::now() + 3_600);
                    let priority = u32::try_from(random.below(3)).unwrap();
                    let key = (random.below(2) == 0).then(|| random.below(20).to_string());
                    let new = NewJob { run_at, priority, key, ..job(2) };
                    ids.extend(server.push(queue, &[new]).await);
                }
                4..8 => {
                    let count = random.below(held.len() + 1);
                    let all: Vec<_> = held.drain(..count).collect();
                    let all: Vec<_> =
                        all.iter().map(|taken| ended(taken, outcome(&mut random, taken))).collect();
                    let taken = server.store.exchange(consumer, &all, 2).await.unwrap();
                    held.extend(taken);
                }
                8 if !ids.is_empty() => drop(server.store.cancel(ids[any]).await.unwrap()),
                9 if !ids.is_empty() => drop(server.store.retry(ids[any]).await.unwrap()),
                10 => {
                    let release: Vec<_> = held.iter().map(|taken| taken.id).take(1).collect();
                    // Some take over what others have, who were last seen in a second before this one.
                    let lease = Duration::from_secs(random.below(2) as u64 * 600);
                    let consumer = Consumer { lease, ..consumer.clone() };
                    server.store.heartbeat(&consumer, &release).await.unwrap();
                }
                11 if random.below(3) == 0 => server.store.leave(consumer).await.unwrap(),
                _ => drop(server.store.move_dead(queue, queues[random.below(3)]).await.unwrap()),
            }
            if step % 10 == 0 {
                server.check_keys();
            }
        }
        ids.sort();
        ids.dedup();
        // The numbers agree with the lists, and the lists with the jobs.
        let stats = server.store.queues().await.unwrap();
        for state in JobState::ALL {
            for queue in queues {
                let filter = Filter {
                    queue: Some(queue.into()),
                    state: Some(state),
                    before: None,
                    limit: 9_999,
                };
                let listed = server.listed(&filter).await;
                let counted = stats.iter().find(|stats| stats.name == queue);
                assert_eq!(
                    listed.len() as u64,
                    counted.map_or(0, |stats| stats.count(state)),
                    "{queue} {state}"
                );
                for id in listed {
                    let record = server.store.find(id).await.unwrap().unwrap();
                    assert_eq!((&*record.queue, record.state), (queue, state));
                }
            }
        }
        // Pages are as the whole, whatever queues and states they are of.
        let mut paged: Vec<JobId> = Vec::new();
        loop {
            let filter = Filter { before: paged.last().copied(), limit: 7, ..Filter::default() };
            let page = server.listed(&filter).await;
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert!(paged.iter().eq(ids.iter().rev()));
    });
}
