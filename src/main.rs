//! The program `ternflock`; everything but its allocator is in the library's `cli`.

mod allocator;

#[global_allocator]
static ALLOCATOR: allocator::CacheLines = allocator::CacheLines;

fn main() -> std::process::ExitCode {
    ternflock::cli::main()
}
