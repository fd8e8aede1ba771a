// Without `--test` the compiler leaves tests out. Their attributes are expanded nevertheless.

#[moirai::test]
fn not_async() {}

#[moirai::test]
async fn with_arguments(seed: u64) {}

#[moirai::test(simulate = 0)]
async fn no_seed() {}

#[moirai::test(simulate = true)]
async fn no_number() {}

#[moirai::test(start_paused = 1)]
async fn no_switch() {}

#[moirai::test(simulate = 10, builder = moirai::Moirai::builder())]
async fn a_builder_in_a_simulation() {}

#[moirai::test(seeds = 10)]
async fn unknown() {}

#[moirai::test]
#[test]
async fn a_test_already() {}

fn main() {}
