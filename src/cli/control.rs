//! The socket beside a run's journal: through it another process of the same user cancels the run.
//!
//! `synod run` and `synod resume` serve it, `synod cancel` is its client. One word a connection; the end of the connection says
//! that the process has ended.
//!
//! # Invariants
//! - The socket is in a folder of mode 0700 and has mode 0600, so only its owner can connect.
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

use crate::limits::{SOCKET_WORD_BYTES_MAX, SOCKET_WORD_WAIT};

const CANCEL: &[u8] = b"cancel\n";
const CANCELLING: &[u8] = b"cancelling\n";

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

    /// Gives what serves the socket; each cancel is told through the channel, and the client is kept until the end of the process.
    pub fn serve(
        &mut self,
    ) -> (impl Future<Output = ()> + Send + use<>, mpsc::Receiver<UnixStream>) {
        let (cancels, receiver) = mpsc::channel(1);
        let listener = self.listener.take();
        let serve = async move {
            let Some(listener) = listener else { return };
            while let Ok((mut client, _)) = listener.accept().await {
                match timeout(SOCKET_WORD_WAIT, obey(&mut client)).await {
                    Ok(Ok(true)) if cancels.send(client).await.is_err() => return,
                    Ok(Ok(_)) => {}
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

/// Reads one word and answers it; tells whether it was a cancel.
async fn obey(client: &mut UnixStream) -> io::Result<bool> {
    let mut word = Vec::new();
    let limit = u64::try_from(SOCKET_WORD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut limited = (&mut *client).take(limit);
    while !word.ends_with(b"\n") && limited.read_buf(&mut word).await? > 0 {}
    if word == CANCEL {
        client.write_all(CANCELLING).await?;
        return Ok(true);
    }
    client.write_all(b"unknown word\n").await?;
    Ok(false)
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
    let mut server = connect(path)?;
    server.set_read_timeout(Some(wait))?;
    server.write_all(CANCEL)?;
    let mut answer = Vec::new();
    server.take(1_024).read_to_end(&mut answer)?;
    if answer == CANCELLING {
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
        let (serve, mut cancels) = control.serve();
        let at = path.clone();
        let client = tokio::task::spawn_blocking(move || cancel(&at, Duration::from_secs(30)));
        let told = async {
            let first = cancels.recv().await;
            drop(first);
        };
        tokio::select! {
            () = serve => panic!("the server ended"),
            () = told => {}
        }
        client.await.unwrap().unwrap();
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
