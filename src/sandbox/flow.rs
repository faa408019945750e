//! One run as a byte stream.
