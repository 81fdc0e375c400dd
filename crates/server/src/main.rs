//! The binary `stepwell`; everything is in the library.

fn main() -> std::process::ExitCode {
    stepwell::cli::main()
}
