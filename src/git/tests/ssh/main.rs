//! Checks and fetches over ssh: against OpenSSH's server, and against servers that mean harm.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod sshd;
#[cfg(test)]
mod trust;
