//! The `dgm` program; everything is in the library.

fn main() -> std::process::ExitCode {
    dgm::cli::main()
}
