//! The `waybill` program: the only place that reads the clock.

use std::process::ExitCode;

use jiff::Timestamp;

fn main() -> ExitCode {
    waybill::cli::main(Timestamp::now)
}
