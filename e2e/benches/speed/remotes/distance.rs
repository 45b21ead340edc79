//! How far away is a server? Bytes arrive later than they were sent, as many at once as before.
//!
//! ```text
//! client ◀── half a round trip ── door ── half a round trip ──▶ server on this machine
//! ```
//! Threads, because timers of an event loop are exact to a millisecond at best.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// What a question and its answer take that nothing else delays.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Pieces on their way in one direction. More than fit into half a round trip at this machine's pace.
const MOST_PIECES: usize = 4096;
const PIECE: usize = 64 * 1024;

/// What went through a door, both ways.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    bytes: AtomicU64,
    connections: AtomicU64,
}

impl Carried {
    pub(crate) fn say(&self) -> Value {
        let (bytes, connections) = (&self.bytes, &self.connections);
        json!([bytes.load(Ordering::Relaxed), connections.load(Ordering::Relaxed)])
    }
}

/// Opens a door to a server on this machine; says its port. It stays open as long as the process lives.
pub(crate) fn door(to: u16, carried: &Arc<Carried>) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let carried = Arc::clone(carried);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            carried.connections.fetch_add(1, Ordering::Relaxed);
            // A client whose server is gone sees its connection close.
            let _ = connect(client, to, &carried);
        }
    });
    Ok(port)
}

fn connect(client: TcpStream, to: u16, carried: &Arc<Carried>) -> anyhow::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    one_way(client.try_clone()?, server.try_clone()?, Arc::clone(carried));
    one_way(server, client, Arc::clone(carried));
    Ok(())
}

fn one_way(from: TcpStream, to: TcpStream, carried: Arc<Carried>) {
    let (sender, receiver) = sync_channel(MOST_PIECES);
    thread::spawn(move || depart(from, &sender, &carried));
    thread::spawn(move || arrive(to, &receiver));
}

fn depart(mut from: TcpStream, road: &SyncSender<(Instant, Vec<u8>)>, carried: &Carried) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        carried.bytes.fetch_add(length as u64, Ordering::Relaxed);
        if road.send((Instant::now() + ROUND_TRIP / 2, piece[..length].to_vec())).is_err() {
            break;
        }
    }
}

fn arrive(mut to: TcpStream, road: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, piece)) = road.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    // The other direction may have more to say.
    let _ = to.shutdown(Shutdown::Write);
}
