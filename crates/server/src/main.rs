//! The binary `stepwell`; everything is in the library.

/// Gives back to the system what a flood of instances leaves behind; glibc's keeps an arena for one live piece at its end.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    stepwell::cli::main()
}
