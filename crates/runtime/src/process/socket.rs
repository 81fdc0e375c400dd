//! Listening sockets that the server makes and a worker process inherits: no port to find, no address to wait for.
//!
//! On Linux the name is abstract, so nothing is left behind by a crash and no path can be too long. Elsewhere it is a
//! path in a private directory that goes away with the address.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use tokio::net::UnixStream;

/// Where a worker process listens.
#[derive(Debug, Clone)]
pub struct SocketAddress(Inner);

#[cfg(target_os = "linux")]
type Inner = String;
#[cfg(not(target_os = "linux"))]
type Inner = std::sync::Arc<PrivatePath>;

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct PrivatePath {
    directory: tempfile::TempDir,
}

impl SocketAddress {
    /// Opens a connection. Before the process accepts, and after it hangs, connections queue; after its end they are refused.
    pub async fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.path()).await
    }

    #[cfg(target_os = "linux")]
    fn path(&self) -> std::ffi::OsString {
        format!("\0{}", self.0).into()
    }

    #[cfg(not(target_os = "linux"))]
    fn path(&self) -> std::path::PathBuf {
        self.0.directory.path().join("socket")
    }
}

/// Makes a listening socket with an address of its own.
#[cfg(target_os = "linux")]
pub fn listen() -> io::Result<(OwnedFd, SocketAddress)> {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("stepwell-{}", uuid::Uuid::new_v4().simple());
    let listener = UnixListener::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name(&name)?)?;
    Ok((listener.into(), SocketAddress(name)))
}

/// Makes a listening socket with an address of its own.
#[cfg(not(target_os = "linux"))]
pub fn listen() -> io::Result<(OwnedFd, SocketAddress)> {
    let directory = tempfile::Builder::new().prefix("stepwell-").tempdir()?;
    let listener = UnixListener::bind(directory.path().join("socket"))?;
    Ok((listener.into(), SocketAddress(std::sync::Arc::new(PrivatePath { directory }))))
}
