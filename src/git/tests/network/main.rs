//! Checks and fetches against git's own server, and against servers that mean harm.

#[cfg(test)]
mod checks;
#[cfg(test)]
mod fetches;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod support;
#[cfg(test)]
mod wire;
