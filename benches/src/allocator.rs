//! Makes mimalloc the allocator of every peer. Compiled with the feature `mimalloc` only.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
