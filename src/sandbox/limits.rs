//! What one sandbox may use.

/// Limits of one sandbox.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Memory in bytes, files in the sized file systems included.
    pub memory: u64,
    /// Processor cores.
    pub cpus: f64,
    /// Processes and threads.
    pub processes: u32,
    /// Bytes that the workspace, and again `/tmp`, can hold; where the root is the image's
    /// own, bytes that all changes of it together may take.
    pub disk: u64,
    /// Bytes of log that are kept; the rest is counted and dropped, its middle cut out.
    pub log: u64,
    /// Bytes of files that are collected at most.
    pub collect: u64,
    /// Files that are collected at most.
    pub collect_files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            cpus: 1.0,
            processes: 256,
            disk: 512 << 20,
            log: 1 << 20,
            collect: 64 << 20,
            collect_files: 20_000,
        }
    }
}
