//! A shop as an actor graph: a stock that sells, two tills that say the price, supervisors above them, and a voucher that nobody
//! thought of.
//!
//! A voucher of 150 % crashes the till that reads it: its customer hears so, the piece goes back, the till is restarted, and
//! nobody else notices. `cargo run --example shop` sells and prints the tree, `-- --watch` draws it meanwhile;
//! `cargo test --example shop` sells under simulated faults.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{collections::BTreeMap, time::Duration};

use synod::{
    prelude::*,
    protocol::RunId,
    runtime::{backoff::Backoff, dead_letters::Kept, graph::ObservableState, node, record},
};

const MINUTE: Duration = Duration::from_secs(60);
const PIECES: u64 = 50;

/// Says the price with a customer's voucher, in percent.
struct Till;
struct Pay(u64, Reply<u64>);

impl Actor for Till {
    type Msg = Pay;

    fn keep(Pay(voucher, _): &Pay) -> Kept<Pay> {
        Kept::Text(format!("a voucher of {voucher} %"))
    }

    fn handle(&mut self, Pay(voucher, to): Pay, cx: &mut Cx<Self>) {
        cx.reply(to, 3 * (100 - voucher));
    }
}

/// Sells the pieces that are left. Their number is journaled, so that a restart forgets nothing.
struct Stock {
    left: u64,
    tills: [Addr<Pay>; 2],
}

enum Order {
    Buy(u64, Reply<u64>),
    Paid(Reply<u64>, Result<u64, AskError>),
}

impl Actor for Stock {
    type Msg = Order;

    fn handle(&mut self, order: Order, cx: &mut Cx<Self>) {
        match order {
            Order::Buy(_, to) if self.left == 0 => cx.refuse(to, "sold out".to_owned()),
            Order::Buy(voucher, to) => {
                self.left -= 1;
                cx.record(&self.left);
                self.tills.rotate_left(1);
                let paid = move |paid| Order::Paid(to, paid);
                cx.ask(&self.tills[0], move |to| Pay(voucher, to), MINUTE, paid);
            }
            Order::Paid(to, paid) => {
                // A till that crashed took nothing. Where nobody knows, nothing goes back: no piece is sold twice.
                if paid == Err(AskError::Dropped) {
                    self.left += 1;
                    cx.record(&self.left);
                }
                cx.reply(to.fallible(), paid);
            }
        }
    }

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        record::decode(record).map(|left| self.left = left)
    }

    fn observe(&self) -> ObservableState {
        ObservableState::of(&BTreeMap::from([("left", self.left)]))
    }
}

/// Opens the shop; its stock stays at this address whatever is restarted.
fn open(node: &node::Node) -> Option<Addr<Order>> {
    let tills = Supervisor::one_for_one("tills").intensity(100, MINUTE).backoff(Backoff::default());
    let tills = node.supervise(tills.child("left", || Till).child("right", || Till));
    let tills = [tills.child("left")?, tills.child("right")?];
    let stock = move || Stock { left: PIECES, tills: tills.clone() };
    let journaled = Spawn::named("stock").journal(RunId::from_u128(1));
    let shop = Supervisor::one_for_one("shop").intensity(100, MINUTE);
    node.supervise(shop.child_with(journaled, Restart::Permanent, stock)).child("stock")
}

/// Buys a piece; every ninth customer has a bad voucher.
async fn buy(stock: Addr<Order>, customer: u64) -> Result<u64, AskError> {
    let voucher = if customer % 9 == 8 { 150 } else { 20 };
    stock.ask(|to| Order::Buy(voucher, to), MINUTE / 2).await
}

/// Sells until nothing is left; gives what was taken.
async fn sell(node: &Node, stock: Addr<Order>, pause: Duration) -> u64 {
    let mut taken = 0;
    for customer in 0.. {
        match buy(stock.clone(), customer).await {
            Ok(price) => taken += price,
            Err(AskError::Failed(_)) => break,
            Err(why) => assert_eq!(why, AskError::Dropped, "that till crashed"),
        }
        node.kernel().sleep(pause).await;
    }
    taken
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::in_memory()?;
    let stock = open(node.kernel()).ok_or("the shop did not open")?;
    let taken = if std::env::args().any(|argument| argument == "--watch") {
        synod::watch(&node, sell(&node, stock, Duration::from_millis(200))).await?
    } else {
        sell(&node, stock, Duration::ZERO).await
    };
    assert_eq!(taken, PIECES * 240, "every piece was paid for");
    println!("sold {PIECES} pieces for {taken}; the shop as it stands:");
    print!("{}", node.kernel().observed_graph(MINUTE).await);
    println!("the messages that crashed a till:");
    for letter in node.kernel().dead_letters() {
        println!("- {}: {}", letter.text.unwrap_or_default(), letter.why);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod::sim::{Fault, sim};

    use super::*;

    #[test]
    fn nothing_is_sold_twice_and_every_customer_hears() {
        sim(|world| {
            world.node("mall", open);
            let stock: Addr<Order> = world.find("mall", "shop/stock").expect("it is open");
            world.crowd(80, Duration::from_millis(125), |n| buy(stock.clone(), n))
        })
        .seeds(50)
        .faults([Fault::Panic, Fault::Slow, Fault::Delay])
        .never("a piece is sold twice", |_, heard| heard.count(Result::is_ok) > PIECES)
        .finally("most are sold", |_, heard| heard.count(Result::is_ok) > PIECES / 2)
        .run();
    }
}
