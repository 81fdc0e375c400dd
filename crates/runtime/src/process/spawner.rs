//! The one thread that starts children. The signal that ends a child with its parent follows the *thread* that made it,
//! so that thread must live as long as the server.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{OnceLock, mpsc};

use rustix::io::FdFlags;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    inherited: Vec<OwnedFd>,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts `command` in a process group of its own that dies with the server. `inherited` stay open in the child under the
/// same numbers and are closed here.
pub async fn spawn(command: Command, inherited: Vec<OwnedFd>) -> io::Result<Child> {
    let (reply, child) = oneshot::channel();
    let order = Order { command, inherited, runtime: Handle::current(), reply };
    spawner().send(order).map_err(|_| io::Error::other("the thread that starts processes is gone"))?;
    child.await.map_err(|_| io::Error::other("the thread that starts processes gave no answer"))?
}

fn spawner() -> &'static mpsc::Sender<Order> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("stepwell-spawner".to_owned())
            .spawn(move || incoming.into_iter().for_each(carry_out))
            .expect("the system starts a thread");
        orders
    })
}

fn carry_out(order: Order) {
    let Order { mut command, inherited, runtime, reply } = order;
    let _entered = runtime.enter();
    command.process_group(0);
    prepare_child(&mut command, inherited.iter().map(AsRawFd::as_raw_fd).collect());
    let _ = reply.send(command.spawn());
}

#[expect(unsafe_code, reason = "only code that runs in the child before exec can set what belongs to the child")]
fn prepare_child(command: &mut Command, inherited: Vec<RawFd>) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        die_with(parent)?;
        for fd in &inherited {
            // SAFETY: the descriptors are owned by the caller of `spawn` until the child exists.
            let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
            rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls that are safe between fork and exec, and does not allocate.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(target_os = "linux")]
fn die_with(parent: rustix::process::Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: rustix::process::Pid) -> io::Result<()> {
    Ok(())
}
