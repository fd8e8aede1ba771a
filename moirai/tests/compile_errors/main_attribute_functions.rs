mod not_async {
    #[moirai::main]
    fn main() {}
}

mod with_arguments {
    #[moirai::main]
    async fn main(words: Vec<String>) {}
}

mod generic {
    #[moirai::main]
    async fn main<T>() {}
}

mod another_name {
    #[moirai::main]
    async fn run() {}
}

#[moirai::main]
struct Main;

fn main() {}
