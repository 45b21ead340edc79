//! Checks and fetches against git's own server, and against servers that mean harm.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod deepening;
#[cfg(test)]
mod early;
#[cfg(test)]
mod fetches;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_streams;
#[cfg(test)]
mod packs;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod repositories;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod transports;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod wire;
