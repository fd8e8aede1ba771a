//! Tests of tonic, server and client, in tasks of Moirai: unary calls, a stream from the server, and streams both ways.

use std::sync::mpsc;
use std::time::Duration;

use moirai::prelude::*;
use moirai_tokio::OnMoirai;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_health::server::HealthReporter;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const LONG: Duration = Duration::from_secs(60);

/// Serves the standard services for health and reflection. Each call is a task of Moirai.
fn serve(moirai: &Moirai) -> (HealthReporter, Channel) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let (bound, address) = mpsc::channel();
    let layer = OnMoirai::new(moirai);
    drop(moirai.task().name("serve").spawn_async(async move {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        bound.send(incoming.local_addr().unwrap()).unwrap();
        let server = Server::builder().layer(layer).add_service(health).add_service(reflection);
        server.serve_with_incoming(incoming).await.unwrap();
    }));
    let address = address.recv_timeout(LONG).unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let connecting = moirai.spawn_async(async move { endpoint.connect().await });
    let channel = connecting.join().unwrap().unwrap();
    (reporter, channel)
}

fn executor(name: &str) -> Moirai {
    let driver = moirai_tokio::driver().unwrap();
    let builder = Moirai::builder().worker_threads(2).thread_name_prefix(name);
    builder.plugin(driver).build().unwrap()
}

#[test]
fn unary_calls_of_many_tasks_share_a_channel_and_are_on_record() {
    let moirai = executor("gr-unary");
    let (_reporter, channel) = serve(&moirai);
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let mut client = HealthClient::new(channel.clone());
            moirai.spawn_async(async move {
                for _ in 0..20 {
                    let request = HealthCheckRequest { service: String::new() };
                    let status = client.check(request).await?.into_inner().status;
                    assert_eq!(status, ServingStatus::Serving as i32);
                }
                let unknown = HealthCheckRequest { service: "no such service".to_owned() };
                let error = client.check(unknown).await.unwrap_err();
                assert_eq!(error.code(), tonic::Code::NotFound);
                Ok::<(), tonic::Status>(())
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap().unwrap();
    }
    let calls = moirai.tasks().into_iter().filter(|task| {
        task.name.as_deref() == Some("POST /grpc.health.v1.Health/Check")
            && task.status == TaskStatus::Completed
    });
    assert_eq!(calls.count(), 32 * 21);
}

#[test]
fn a_stream_from_the_server_brings_each_change() {
    let moirai = executor("gr-watch");
    let (reporter, channel) = serve(&moirai);
    let (saw, seen) = mpsc::channel();
    let watching = moirai.spawn_async(async move {
        let request = HealthCheckRequest { service: String::new() };
        let mut changes = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
        while let Some(change) = changes.message().await.unwrap() {
            saw.send(change.status).unwrap();
        }
    });
    let statuses = [ServingStatus::Serving, ServingStatus::NotServing, ServingStatus::Serving];
    assert_eq!(seen.recv_timeout(LONG), Ok(statuses[0] as i32));
    for status in &statuses[1..] {
        let reporter = reporter.clone();
        let status = *status;
        moirai
            .spawn_async(async move { reporter.set_service_status("", status).await })
            .join()
            .unwrap();
        assert_eq!(seen.recv_timeout(LONG), Ok(status as i32));
    }
    // The stream has no end of its own.
    watching.cancel();
    assert!(watching.join().unwrap_err().is_cancelled());
}

#[test]
fn streams_run_both_ways() {
    let moirai = executor("gr-both");
    let (_reporter, channel) = serve(&moirai);
    let names = moirai
        .spawn_async(async move {
            let (ask, asked) = tokio::sync::mpsc::channel(1);
            let asked = questions(asked);
            let mut client = ServerReflectionClient::new(channel);
            let mut answers = client.server_reflection_info(asked).await?.into_inner();
            let mut names = Vec::new();
            // Each question waits for the answer to the one before.
            for _ in 0..10 {
                let question = ServerReflectionRequest {
                    host: String::new(),
                    message_request: Some(MessageRequest::ListServices(String::new())),
                };
                ask.send(question).await.expect("the call runs");
                let answer = answers.message().await?.expect("the stream goes on");
                match answer.message_response {
                    Some(MessageResponse::ListServicesResponse(services)) => {
                        names.extend(services.service.into_iter().map(|service| service.name));
                    }
                    other => panic!("{other:?}"),
                }
            }
            // With the questions the answers end.
            drop(ask);
            assert!(answers.message().await?.is_none());
            Ok::<_, tonic::Status>(names)
        })
        .join()
        .unwrap()
        .unwrap();
    let health = names.iter().filter(|name| *name == "grpc.health.v1.Health");
    assert_eq!(health.count(), 10);
}

/// The messages of a channel, as the stream that a client sends.
fn questions<T: Send + 'static>(
    receiver: tokio::sync::mpsc::Receiver<T>,
) -> impl futures_lite::Stream<Item = T> + Send {
    futures_lite::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    })
}
