//! The program `ternflock`; everything is in the library's `cli`.

fn main() -> std::process::ExitCode {
    ternflock::cli::main()
}
