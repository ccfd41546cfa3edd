//! An actor of a user's own: a quota that is refilled by an agent, and its test without a runtime.
//!
//! `cargo run --example quota` lets a supervised quota refuse, refill and crash; `cargo test --example quota` tests it alone.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::time::Duration;

use synod::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Hands out what is left; a meter says how much there is again.
struct Quota {
    left: u64,
    meter: Agent<(), u64>,
}

enum Msg {
    Take(u64, Reply<bool>),
    Refill,
    Filled(Result<u64, AskError>),
}

impl Actor for Quota {
    type Msg = Msg;

    fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Take(n, to) => {
                let ok = n <= self.left;
                if ok {
                    self.left -= n;
                }
                cx.reply(to, ok);
            }
            Msg::Refill => cx.ask(&self.meter, (), MINUTE, Msg::Filled),
            Msg::Filled(Ok(n)) => {
                self.left = n;
                cx.after(MINUTE, Msg::Refill);
            }
            Msg::Filled(Err(_)) => cx.crash("no refill"),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::in_memory()?;
    let meter = node.agent("meter", |(), _cx| async { Ok(5_u64) }).start()?;
    let quotas = Supervisor::one_for_one("quotas")
        .intensity(3, MINUTE)
        .child("eu", move || Quota { left: 2, meter: meter.clone() });
    let quotas = node.supervise(quotas);
    let eu = quotas.child::<Msg>("eu").ok_or("the quota did not start")?;

    assert!(!eu.ask(|to| Msg::Take(3, to), MINUTE).await?, "there are two");
    println!("2 are left: 3 are refused");
    eu.tell(Msg::Refill).await?;
    while !eu.ask(|to| Msg::Take(5, to), MINUTE).await? {
        tokio::task::yield_now().await;
    }
    println!("refilled by the meter: 5 are taken");
    // A crash loses the state, not the address.
    eu.tell(Msg::Filled(Err(AskError::Stopped))).await?;
    assert!(eu.ask(|to| Msg::Take(2, to), MINUTE).await?, "restarted with two");
    println!("no refill: it crashed, was restarted with 2 at the same address, and 2 are taken");
    print!("{}", node.graph());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_left() {
        let mut quota = Probe::new(Quota { left: 2, meter: Agent::mock() });
        assert_eq!(quota.ask(|to| Msg::Take(3, to)), Ok(false));
        assert_eq!(quota.left, 2);
        assert_eq!(quota.ask(|to| Msg::Take(2, to)), Ok(true));
        assert_eq!(quota.left, 0);
    }

    #[test]
    fn without_a_meter_it_crashes_rather_than_guess() {
        let mut quota = Probe::new(Quota { left: 2, meter: Agent::mock() });
        quota.tell(Msg::Refill);
        assert!(quota.exit().is_some_and(|reason| reason.is_failure()), "{:?}", quota.exit());
    }
}
