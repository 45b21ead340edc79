//! The sandbox through real clients: kube's, over TCP too, and kubectl.

#[cfg(test)]
mod access;
mod apply;
#[cfg(test)]
mod custom;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod patches;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod statuses;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod watches;
