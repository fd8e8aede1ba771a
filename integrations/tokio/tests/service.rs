//! Tests of the example `service` as a process that is sent signals: this test binary, started again.

#[path = "../examples/service/main.rs"]
mod service;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LONG: Duration = Duration::from_secs(60);
const ARGUMENTS: &str = "MOIRAI_TEST_SERVICE_ARGUMENTS";

#[test]
#[ignore = "what the processes of the other tests run"]
fn run_with_the_arguments() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let code = service::run(arguments.split_whitespace().map(str::to_owned));
    // The harness would end with a code of its own.
    std::process::exit(if code == std::process::ExitCode::SUCCESS { 0 } else { 1 });
}

/// The service, which is killed when this is dropped.
struct Service {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Service {
    fn start(arguments: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["run_with_the_arguments", "--exact", "--nocapture", "--ignored"])
            .env(ARGUMENTS, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Reads lines until one that has this in it, and returns that line.
    fn expect(&mut self, part: &str) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("it ended without saying {part:?}: {:?}", self.child.wait());
    }

    /// Starts the service without clients, and returns its address.
    fn listening(arguments: &str) -> (Self, String) {
        let mut service = Self::start(&format!("--serve {arguments}"));
        let line = service.expect("listening on http://");
        let address = line.rsplit('/').next().unwrap().to_owned();
        (service, address)
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < LONG, "the service does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one request, and returns the response.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// Starts a job, and returns its id.
fn start_job(address: &str, job: &str) -> String {
    let response = ask(address, &format!("POST /jobs/{job}"));
    assert!(response.starts_with("HTTP/1.1 202"), "{response}");
    response.split('"').nth(3).unwrap().to_owned()
}

/// Asks until the answer has this in it.
fn ask_until(address: &str, request: &str, part: &str) -> String {
    let started = Instant::now();
    loop {
        let response = ask(address, request);
        if response.contains(part) {
            return response;
        }
        assert!(started.elapsed() < LONG, "{response}");
    }
}

#[test]
fn a_drain_under_load_fails_no_request() {
    let mut service = Service::start("--seconds 1 --clients 8 --workers 2");
    service.expect("requests failed");
    service.expect("clean shutdown");
    assert!(service.end().success());
}

#[test]
fn a_drain_ends_the_jobs_that_are_under_way() {
    let (mut service, address) = Service::listening("");
    let id = start_job(&address, "Ada/200");
    ask_until(&address, &format!("GET /jobs/{id}"), "\"running\"");
    service.send(Signal::TERM);
    // Jobs go on, and are still shown, while it drains.
    let report = service.expect("shutdown");
    assert!(report.contains("clean shutdown"), "{report}");
    assert!(service.end().success());
}

#[test]
fn a_job_that_takes_too_long_is_cut_off_and_the_service_says_so() {
    let (mut service, address) = Service::listening("--deadline 1 --workers 1");
    for _ in 0..3 {
        start_job(&address, "Ada/1000");
    }
    service.send(Signal::TERM);
    let report = service.expect("shutdown");
    if !report.contains("clean") {
        service.expect("cancelled: task");
        assert_eq!(service.end().code(), Some(1));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (mut service, address) = Service::listening("--deadline 600 --workers 1");
    for _ in 0..20 {
        start_job(&address, "Ada/1000");
    }
    service.send(Signal::TERM);
    ask_until(&address, "GET /ready", "HTTP/1.1 503");
    service.send(Signal::TERM);
    assert_eq!(service.end().code(), Some(143));
}

#[test]
fn jobs_are_shown_limited_and_cancelled() {
    let (mut service, address) = Service::listening("--jobs-per-second 5");
    let id = start_job(&address, "Grace/1");
    let done = ask_until(&address, &format!("GET /jobs/{id}"), "completed");
    assert!(done.contains("\"progress\":\"1/1\"") && done.contains("words"), "{done}");
    let of_customer = ask(&address, "GET /customers/Grace");
    assert!(of_customer.contains(&id), "{of_customer}");
    assert!(ask(&address, "GET /jobs/17").contains("HTTP/1.1 404"));
    assert!(ask(&address, "GET /jobs/nonsense").contains("HTTP/1.1 404"));
    assert!(ask(&address, "POST /jobs/Grace/0").contains("HTTP/1.1 400"));

    let long = start_job(&address, "Ada/1000");
    assert!(ask(&address, &format!("DELETE /jobs/{long}")).contains("HTTP/1.1 204"));
    let cancelled = ask_until(&address, &format!("GET /jobs/{long}"), "\"cancelled\"");
    assert!(cancelled.contains("\"cancelled_by\":\"id\""), "{cancelled}");
    let limited = ask_until(&address, "POST /jobs/Ada/1", "HTTP/1.1 429");
    assert!(limited.contains("retry-after"), "{limited}");
    assert!(ask(&address, "GET /metrics").contains("service_records"));
    service.send(Signal::INT);
    assert!(service.end().success());
}

#[test]
fn what_is_wrong_is_said() {
    let (_service, address) = Service::listening("");
    let mut second = Service::start(&format!("--serve --address {address}"));
    assert_eq!(second.end().code(), Some(1));
    let mut error = String::new();
    second.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
    for arguments in ["--clients 0", "--address nowhere", "--nonsense", "--seconds"] {
        assert_eq!(Service::start(arguments).end().code(), Some(1), "{arguments}");
    }
}
