//! The simulator as a program: `cargo xtask sim --seeds N [--seed S]`.

use std::process::ExitCode;
use std::time::Instant;

#[path = "../tests/sim/mod.rs"]
mod sim;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |flag: &str, default: u64| {
        let place = arguments.iter().position(|argument| argument == flag);
        place.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(default)
    };
    let (seeds, first) = (number("--seeds", 1_000), number("--seed", 1));
    let begun = Instant::now();
    let mut events = 0;
    for seed in first..first + seeds {
        match sim::simulate(seed, None) {
            Ok(steps) => events += steps,
            Err(broken) => {
                let broken = sim::explain(seed, None).unwrap_or(broken);
                eprintln!("{}\nseed {}: {}", broken.trace, broken.seed, broken.promise);
                return ExitCode::FAILURE;
            }
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    println!("{seeds} seeds hold ({events} events, {:.0} seeds/s)", seeds as f64 / elapsed);
    ExitCode::SUCCESS
}
