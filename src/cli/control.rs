//! The socket beside a run's journal: through it another process of the same user cancels the run, or stops it in an emergency.
//!
//! `synod run` and `synod resume` serve it, `synod cancel` is its client. One line a connection, which begins with a word; the end
//! of the connection says that the process has ended.
//!
//! # Invariants
//! - The socket is in a folder of mode 0700 and has mode 0600, so only its owner can connect.
//! - Who stops a run in an emergency is what the system says of the client, never what that says of itself.
//! - A client that says nothing holds nobody up for longer than [`SOCKET_WORD_WAIT`].

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{self, Read as _, Write as _},
    os::{
        fd::AsRawFd,
        unix::{fs::PermissionsExt, net::UnixStream as StdStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::mpsc,
    time::timeout,
};

use runtime::limits::EMERGENCY_TEXT_BYTES_MAX;

use crate::limits::{SOCKET_WORD_BYTES_MAX, SOCKET_WORD_WAIT};

const CANCEL: &str = "cancel";
const CANCELLING: &str = "cancelling\n";
const EMERGENCY: &str = "emergency ";
const STOPPING: &str = "stopping\n";

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The run ends, with what it has.
    Cancel,
    /// Everything ends at once.
    Emergency {
        /// Who wants it, as the system knows the client.
        by: String,
        /// Why.
        reason: String,
    },
}

/// The served socket; dropping it removes it.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Control {
    /// Opens the socket at `path`; one that a dead process left behind is replaced.
    ///
    /// # Errors
    /// What the system says, `AddrInUse` when another process serves it.
    pub fn open(path: &Path) -> io::Result<Self> {
        if is_running(path) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let (_folder, address) = address(path)?;
        let listener = UnixListener::bind(address)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { path: path.to_owned(), listener: Some(listener) })
    }

    /// Gives what serves the socket; each order is told through the channel, and the client is kept until the end of the process.
    pub fn serve(
        &mut self,
    ) -> (impl Future<Output = ()> + Send + use<>, mpsc::Receiver<(Order, UnixStream)>) {
        let (orders, receiver) = mpsc::channel(1);
        let listener = self.listener.take();
        let serve = async move {
            let Some(listener) = listener else { return };
            while let Ok((mut client, _)) = listener.accept().await {
                match timeout(SOCKET_WORD_WAIT, obey(&mut client)).await {
                    Ok(Ok(Some(order))) => {
                        if orders.send((order, client)).await.is_err() {
                            return;
                        }
                    }
                    Ok(Ok(None)) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a client of the run's socket was lost");
                    }
                    Err(_elapsed) => {
                        tracing::debug!("a client of the run's socket said nothing");
                    }
                }
            }
        };
        (serve, receiver)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the run's socket cannot be removed");
        }
    }
}

/// Reads one line and answers it; tells what it orders.
async fn obey(client: &mut UnixStream) -> io::Result<Option<Order>> {
    let mut word = Vec::new();
    let limit = u64::try_from(SOCKET_WORD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut limited = (&mut *client).take(limit);
    while !word.ends_with(b"\n") && limited.read_buf(&mut word).await? > 0 {}
    let order = match std::str::from_utf8(&word).ok().and_then(|line| line.strip_suffix('\n')) {
        Some(CANCEL) => Some(Order::Cancel),
        Some(line) => match line.strip_prefix(EMERGENCY).map(str::trim) {
            Some(reason) if !reason.is_empty() => {
                Some(Order::Emergency { by: who(client)?, reason: reason.to_owned() })
            }
            Some(_) | None => None,
        },
        None => None,
    };
    let answer = match &order {
        Some(Order::Cancel) => CANCELLING,
        Some(Order::Emergency { .. }) => STOPPING,
        None => "unknown word\n",
    };
    client.write_all(answer.as_bytes()).await?;
    Ok(order)
}

/// Who a client is, as the system says.
fn who(client: &UnixStream) -> io::Result<String> {
    let of = client.peer_cred()?;
    let process = of.pid().map_or_else(String::new, |pid| format!(", process {pid}"));
    Ok(format!("user {}{process}", of.uid()))
}

/// Tells whether a process serves the socket.
pub fn is_running(path: &Path) -> bool {
    connect(path).is_ok()
}

/// Asks the process behind the socket to cancel its run, and waits for the end of the process.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` when there is no such process, `WouldBlock` when it does not end within `wait`.
pub fn cancel(path: &Path, wait: Duration) -> io::Result<()> {
    order(path, &format!("{CANCEL}\n"), CANCELLING, wait)
}

/// Asks the process behind the socket to stop everything at once, and waits for the end of the process.
///
/// # Errors
/// As [`cancel`]; `InvalidInput` without a reason.
pub fn emergency(path: &Path, reason: &str, wait: Duration) -> io::Result<()> {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = reason.get(..reason.floor_char_boundary(EMERGENCY_TEXT_BYTES_MAX));
    let Some(reason) = reason.filter(|reason| !reason.is_empty()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "say why, by `--reason`"));
    };
    order(path, &format!("{EMERGENCY}{reason}\n"), STOPPING, wait)
}

fn order(path: &Path, line: &str, expected: &str, wait: Duration) -> io::Result<()> {
    let mut server = connect(path)?;
    server.set_read_timeout(Some(wait))?;
    server.write_all(line.as_bytes())?;
    let mut answer = Vec::new();
    server.take(1_024).read_to_end(&mut answer)?;
    if answer == expected.as_bytes() {
        Ok(())
    } else {
        let text = format!("it answered {:?}", String::from_utf8_lossy(&answer));
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

fn connect(path: &Path) -> io::Result<StdStream> {
    let (_folder, address) = address(path)?;
    StdStream::connect(address)
}

/// Gives a short path to a socket: the address of a socket holds about 100 bytes, a path many more.
fn address(path: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().unwrap_or(OsStr::new(""));
    let address = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((folder, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cancel_is_told_and_answered_and_its_client_waits_for_the_end() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("d".repeat(100)).join("e".repeat(100));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("run.sock");
        let mut control = Control::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Control::open(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let (serve, mut orders) = control.serve();
        let (at, wait) = (path.clone(), Duration::from_secs(30));
        let client = tokio::task::spawn_blocking(move || {
            cancel(&at, wait).and_then(|()| emergency(&at, "it\nspends\ttoo much", wait))
        });
        let told = async {
            let first = orders.recv().await.map(|(order, _)| order);
            (first, orders.recv().await.map(|(order, _)| order))
        };
        let told = tokio::select! {
            () = serve => panic!("the server ended"),
            told = told => told,
        };
        client.await.unwrap().unwrap();
        let by =
            format!("user {}, process {}", rustix::process::getuid().as_raw(), std::process::id());
        let reason = "it spends too much".to_owned();
        assert_eq!(told, (Some(Order::Cancel), Some(Order::Emergency { by, reason })));
        let unsaid = emergency(&path, " \n", wait).unwrap_err();
        assert_eq!(unsaid.kind(), io::ErrorKind::InvalidInput);
        drop(control);
        assert!(!path.exists());
        assert!(cancel(&path, Duration::from_secs(1)).is_err());
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_process_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(!is_running(&path));
        let _control = Control::open(&path).unwrap();
        assert!(is_running(&path));
    }
}
