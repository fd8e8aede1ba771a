mod no_workers {
    #[moirai::main(workers = 0)]
    pub async fn main() {}
}

mod no_number {
    #[moirai::main(workers = "four")]
    pub async fn main() {}
}

mod no_value {
    #[moirai::main(workers)]
    pub async fn main() {}
}

mod twice {
    #[moirai::main(workers = 4, worker_threads = 2)]
    pub async fn main() {}
}

mod of_tests {
    #[moirai::main(simulate = 100)]
    pub async fn main() {}
}

mod of_tokio {
    #[moirai::main(flavor = "current_thread")]
    pub async fn main() {}
}

mod unknown {
    #[moirai::main(threads = 2)]
    pub async fn main() {}
}

mod no_path {
    #[moirai::main(crate = 1)]
    pub async fn main() {}
}

mod two_at_once {
    #[moirai::main(workers = 0, stack = 5)]
    pub async fn main() {}
}

fn main() {
    no_workers::main();
    no_number::main();
    no_value::main();
    twice::main();
    of_tests::main();
    of_tokio::main();
    unknown::main();
    no_path::main();
    two_at_once::main();
}
