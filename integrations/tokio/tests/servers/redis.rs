//! redis on redis-server.

use std::time::{Duration, Instant};

use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::executor;
use crate::server::Server;

const LONG: Duration = Duration::from_secs(60);

fn client(server: &Server) -> redis::Client {
    redis::Client::open(format!("redis://127.0.0.1:{}/", server.port())).unwrap()
}

#[test]
fn one_connection_serves_many_tasks() {
    let Some(server) = Server::redis() else { return };
    let moirai = executor("rd-many");
    let client = client(&server);
    let total: u64 = moirai
        .spawn_async(async move {
            // The connection is a task of tokio's, to which all of ours send.
            let connection = client.get_multiplexed_async_connection().await?;
            let tasks: Vec<_> = (0..64)
                .map(|task| {
                    let mut connection = connection.clone();
                    moirai::spawn_async(async move {
                        for n in 0..50 {
                            let _: () = redis::pipe()
                                .atomic()
                                .incr("total", 1)
                                .ignore()
                                .hset(format!("task {task}"), n, n * n)
                                .ignore()
                                .query_async(&mut connection)
                                .await?;
                        }
                        let square: u64 = connection.hget(format!("task {task}"), 49).await?;
                        redis::RedisResult::Ok(square)
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.expect("it does not panic")?, 49 * 49);
            }
            connection.clone().get("total").await
        })
        .join()
        .unwrap()
        .map_err(|error: redis::RedisError| error.to_string())
        .unwrap();
    assert_eq!(total, 64 * 50);
}

#[test]
fn a_list_is_a_queue_between_tasks() {
    let Some(server) = Server::redis() else { return };
    let moirai = executor("rd-queue");
    let client = client(&server);
    // Waits at the server, for longer than the client's usual limit.
    let taking = moirai.spawn_async({
        let client = client.clone();
        async move {
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
            let mut connection =
                client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
            let mut taken = Vec::new();
            while taken.len() < 100 {
                let (_, n): (String, u32) = connection.blpop("queue", 0.0).await.unwrap();
                taken.push(n);
            }
            taken
        }
    });
    let adding = moirai.spawn_async(async move {
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        for n in 0..100_u32 {
            let _: () = connection.rpush("queue", n).await.unwrap();
            if n % 10 == 0 {
                moirai::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    adding.join().unwrap();
    assert_eq!(taking.join().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_server_that_crashes_is_an_error_and_is_found_again() {
    let Some(mut server) = Server::redis() else { return };
    let moirai = executor("rd-crash");
    let client = client(&server);
    let manager = moirai
        .spawn_async(async move {
            let config = ConnectionManagerConfig::new()
                .set_min_delay(Duration::from_millis(5))
                .set_max_delay(Duration::from_millis(50));
            ConnectionManager::new_with_config(client, config).await.unwrap()
        })
        .join()
        .unwrap();
    let set = |n: u32| {
        let mut manager = manager.clone();
        let setting = async move { manager.set::<_, _, ()>("n", n).await };
        moirai.spawn_async(setting).join().unwrap()
    };
    set(1).unwrap();
    let mut waiting = manager.clone();
    let interrupted =
        moirai.spawn_async(async move { waiting.blpop::<_, (String, u32)>("nothing", 0.0).await });
    server.crash_and_restart();
    interrupted.join().unwrap().expect_err("its connection was closed, or took too long");

    let started = Instant::now();
    while set(2).is_err() {
        assert!(started.elapsed() < LONG, "the client does not find the server again");
    }
}
