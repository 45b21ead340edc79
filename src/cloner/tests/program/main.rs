//! The program, run as a Job runs it.

#[cfg(test)]
mod clone;
#[cfg(test)]
mod transports;
