use moirai::Moirai;

async fn work() {}

fn a_future_as_a_task(executor: Moirai) {
    executor.spawn(async {});
}

fn a_closure_that_is_not_send(executor: Moirai) {
    let count = std::rc::Rc::new(1);
    executor.spawn(move || *count);
}

fn an_output_that_is_not_send(executor: Moirai) {
    executor.spawn(|| std::rc::Rc::new(1));
}

fn a_task_that_returns_a_future(executor: Moirai) {
    executor.spawn(|| async {});
}

fn a_closure_that_returns_a_future(executor: Moirai) {
    executor.spawn_parallel(|| async {});
}

fn an_async_function(executor: Moirai) {
    executor.spawn_blocking(work);
}

fn a_free_function() {
    moirai::spawn_blocking(|| async { std::fs::read("file") });
}

fn with_options(executor: Moirai) {
    executor.task().name("work").spawn_parallel(|| work());
}

fn in_a_group(executor: Moirai) {
    executor.group().spawn_parallel(work);
}

fn in_generic_code<F: Future<Output = ()> + Send + 'static>(executor: Moirai, future: F) {
    executor.spawn_parallel(move || future);
}

fn main() {}
