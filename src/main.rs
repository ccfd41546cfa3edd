//! The program `synod`; everything it does is in [`synod::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;
use synod::actors::agent::Launcher;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // First of all, before any thread: an agent's program may be what this process is to become.
    match Launcher::intercept() {
        Ok(launcher) => synod::cli::main(std::env::args_os(), &launcher),
        Err(served) => served,
    }
}
