//! What may a server do in a session? Show its key, and answer. It opens nothing towards us.

use russh::{
    Channel,
    client::{ChannelOpenHandle, Handler, Msg, Session},
    keys::PublicKeyOrCertificate,
};

use super::super::trust::Trust;
use crate::{Error, HostKey};

/// Looks at the host key, and refuses whatever else the server begins.
pub(in super::super) struct Guard {
    trust: Trust,
}

/// Why a session did not come about.
#[derive(Debug)]
pub(in super::super) enum Failure {
    /// The server is not believed.
    Verdict(Error),
    /// It shows something else than a key.
    NotAKey,
    Ssh(russh::Error),
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Guard {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust }
    }
}

type Done = Result<(), Failure>;

// The handles of what the server wants to open are dropped, which refuses it.
impl Handler for Guard {
    type Error = Failure;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Err(Failure::NotAKey);
        };
        let bytes = key.to_bytes().map_err(|_| Failure::NotAKey)?;
        let key = HostKey::from_bytes(&bytes).ok_or(Failure::NotAKey)?;
        self.trust.judge(&key).map_err(Failure::Verdict)?;
        Ok(true)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Done {
        Ok(())
    }
}
