//! Listening sockets that the server makes and a worker process inherits: no port to find, no address to wait for.
//!
//! On Linux the name is abstract, so nothing is left behind by a crash and no path can be too long. Elsewhere it is a
//! path in a private directory that goes away with the address.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

/// Where a worker process listens.
#[derive(Debug, Clone)]
pub struct SocketAddress {
    path: PathBuf,
    #[cfg(not(target_os = "linux"))]
    _directory: std::sync::Arc<tempfile::TempDir>,
}

impl SocketAddress {
    /// For tokio's `UnixStream::connect`: a path, or an abstract name behind a zero byte.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a connection. Before the process accepts, and while it hangs, connections queue; after its end they are refused.
    pub async fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.path).await
    }
}

/// Makes a listening socket with an address of its own.
#[cfg(target_os = "linux")]
pub fn listen() -> io::Result<(OwnedFd, SocketAddress)> {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("stepwell-{}", uuid::Uuid::new_v4().simple());
    let listener = UnixListener::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name(&name)?)?;
    Ok((listener.into(), SocketAddress { path: format!("\0{name}").into() }))
}

/// Makes a listening socket with an address of its own.
#[cfg(not(target_os = "linux"))]
pub fn listen() -> io::Result<(OwnedFd, SocketAddress)> {
    let directory = tempfile::Builder::new().prefix("stepwell-").tempdir()?;
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path)?;
    Ok((listener.into(), SocketAddress { path, _directory: std::sync::Arc::new(directory) }))
}
