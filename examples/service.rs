//! A service: says of each line that comes in on a socket how many words it has, and ends in order at SIGTERM or Ctrl-C.
//!
//! `cargo run --example service` asks itself and ends; `-- 127.0.0.1:7000` goes on until it is told to end: try `nc 127.0.0.1 7000`.
//! `cargo test --example service` tells it to end while somebody is connected.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{
    convert::Infallible,
    error::Error,
    future::{Future, pending},
    io,
    net::SocketAddr,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use synod::prelude::*;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// The time that runs have to end when the service is told to.
const WITHIN: Duration = Duration::from_secs(30);
/// Connections at a time; more wait.
const GUESTS_MAX: usize = 100;
/// What one of them may say, in bytes.
const SAID_MAX: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(async {
        let Some(address) = std::env::args().nth(1) else {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let guest = guest(listener.local_addr()?);
            return service(listener, guest).await;
        };
        service(TcpListener::bind(address).await?, pending()).await
    });
    // A counter in the middle of a line is not waited for: the runs had their time, or a second signal came.
    runtime.shutdown_background();
    served
}

/// Serves until the listener fails, `guest` has what it wants, or the program is told to end.
async fn service(
    listener: TcpListener,
    guest: impl Future<Output = io::Result<()>>,
) -> Result<(), Box<dyn Error>> {
    let node = Node::in_memory()?;
    let counters = node.blocking_agent("counters", |line: String, _cx| {
        Ok(u64::try_from(line.split_whitespace().count())?)
    });
    let counters = counters.count(4).start()?;
    let work = async {
        tokio::select! {
            failed = accept(&listener, &node, &counters) => failed.map(|never| match never {}),
            done = guest => done,
        }
    };
    let served = synod::serve(&node, WITHIN, work).await?;
    println!("ended in order, {} runs were cut off", served.drained.cut_off);
    Ok(served.output.transpose().map(|_| ())?)
}

/// Takes connections in and answers them, all at a time.
async fn accept(
    listener: &TcpListener,
    node: &Node,
    counters: &Agent<String, u64>,
) -> io::Result<Infallible> {
    let mut guests = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if guests.len() < GUESTS_MAX => {
                guests.push(answer(accepted?.0, node, counters));
            }
            Some(ended) = guests.next() => {
                if let Err(error) = ended {
                    println!("a guest is gone: {error}");
                }
            }
        }
    }
}

/// Answers each line with its number of words, or why there is none.
async fn answer(
    connection: TcpStream,
    node: &Node,
    counters: &Agent<String, u64>,
) -> io::Result<()> {
    let (read, mut write) = connection.into_split();
    let mut lines = BufReader::new(read.take(SAID_MAX)).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match node.run(map_reduce([line], counters).reduce(sum())).await {
            Ok(done) => done.value.to_string(),
            Err(error) => error.to_string(),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Says a line to the service, and gives its answer.
async fn ask(service: &mut BufReader<TcpStream>, line: &str) -> io::Result<String> {
    service.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    service.read_line(&mut answer).await?;
    Ok(answer.trim_end().to_owned())
}

/// Asks the service for the words of two lines.
async fn guest(service: SocketAddr) -> io::Result<()> {
    let mut service = BufReader::new(TcpStream::connect(service).await?);
    for line in ["to be or not to be", "that is the question"] {
        println!("{line}: {} words", ask(&mut service, line).await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn told_to_end_it_ends_in_order_though_somebody_is_connected() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stays = async {
            let mut service = BufReader::new(TcpStream::connect(address).await?);
            assert_eq!(ask(&mut service, "one two").await?, "2");
            kill_process(getpid(), Signal::TERM)?;
            pending().await
        };
        service(listener, stays).await.unwrap();
    }
}
