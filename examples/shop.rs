//! A shop as an actor graph: a desk, its stock and two tills, supervisors above them, and a voucher that nobody thought of.
//!
//! A voucher of 150 % crashes the till that reads it: its customer hears so, the piece goes back, the till is restarted, and
//! nobody else notices. `cargo run --example shop` sells and prints the tree, `-- --watch` draws it meanwhile;
//! `cargo test --example shop` sells under simulated faults.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::time::Duration;

use synod::{
    prelude::*,
    protocol::RunId,
    runtime::{backoff::Backoff, dead_letters::Kept, node, record},
};

const MINUTE: Duration = Duration::from_secs(60);
const PIECES: u64 = 50;

/// The pieces that are left: journaled, so that a restart forgets nothing.
struct Stock(u64);

enum Goods {
    Take(Reply<bool>),
    Back,
}

impl Actor for Stock {
    type Msg = Goods;

    fn handle(&mut self, msg: Goods, cx: &mut Cx<Self>) {
        match msg {
            Goods::Take(to) if self.0 == 0 => return cx.reply(to, false),
            Goods::Take(to) => {
                self.0 -= 1;
                cx.record(&self.0);
                return cx.reply(to, true);
            }
            Goods::Back => self.0 += 1,
        }
        cx.record(&self.0);
    }

    fn replay(&mut self, record: &[u8]) -> Result<(), String> {
        record::decode(record).map(|left| self.0 = left)
    }
}

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

/// Takes each order to the stock, and on to a till.
struct Desk {
    stock: Addr<Goods>,
    tills: [Addr<Pay>; 2],
}

type Customer = Reply<Result<u64, AskError>>;

enum Order {
    Buy(u64, Customer),
    Taken(u64, Customer, Result<bool, AskError>),
    Paid(Customer, Result<u64, AskError>),
}

impl Actor for Desk {
    type Msg = Order;

    fn handle(&mut self, order: Order, cx: &mut Cx<Self>) {
        match order {
            Order::Buy(voucher, to) => {
                let taken = move |taken| Order::Taken(voucher, to, taken);
                cx.ask(&self.stock, Goods::Take, MINUTE, taken);
            }
            Order::Taken(voucher, to, Ok(true)) => {
                self.tills.rotate_left(1);
                let ([till, _], paid) = (&self.tills, move |paid| Order::Paid(to, paid));
                cx.ask(till, move |to| Pay(voucher, to), MINUTE, paid);
            }
            Order::Taken(_, to, Ok(false)) => cx.reply(to, Err("sold out".to_owned().into())),
            Order::Taken(_, to, Err(why)) => cx.reply(to, Err(why)),
            Order::Paid(to, paid) => {
                // A till that crashed took nothing. Where nobody knows, nothing goes back: no piece is sold twice.
                if paid == Err(AskError::Dropped) {
                    cx.send(&self.stock, Goods::Back);
                }
                cx.reply(to, paid);
            }
        }
    }
}

/// Opens the shop; its desk stays at this address whatever is restarted.
fn open(node: &node::Node) -> Option<Addr<Order>> {
    let tills = Supervisor::one_for_one("tills").intensity(100, MINUTE).backoff(Backoff::default());
    let stock = Spawn::named("stock").journal(RunId::from_u128(1));
    let back = Supervisor::one_for_one("back")
        .intensity(100, MINUTE)
        .child_with(stock, Restart::Permanent, || Stock(PIECES))
        .supervisor(tills.child("left", || Till).child("right", || Till));
    let back = node.supervise(back);
    let (stock, tills) =
        (back.child("stock")?, [back.child("tills/left")?, back.child("tills/right")?]);
    let desk = move || Desk { stock: stock.clone(), tills: tills.clone() };
    let front = Supervisor::one_for_one("front").intensity(100, MINUTE);
    node.supervise(front.child("desk", desk)).child("desk")
}

/// Sells until nothing is left, every ninth time for a bad voucher; gives what was taken.
async fn sell(node: &Node, desk: Addr<Order>, pause: Duration) -> Result<u64, AskError> {
    let mut taken = 0;
    for customer in 1.. {
        let voucher = if customer % 9 == 0 { 150 } else { 20 };
        match desk.ask(|to| Order::Buy(voucher, to), MINUTE).await? {
            Ok(price) => taken += price,
            Err(AskError::Failed(_)) => break,
            Err(why) => assert_eq!(why, AskError::Dropped, "that till crashed"),
        }
        node.kernel().sleep(pause).await;
    }
    Ok(taken)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::in_memory()?;
    let desk = open(node.kernel()).ok_or("the shop did not open")?;
    let taken = if std::env::args().any(|argument| argument == "--watch") {
        synod::watch(&node, sell(&node, desk, Duration::from_millis(200))).await??
    } else {
        sell(&node, desk, Duration::ZERO).await?
    };
    assert_eq!(taken, PIECES * 240, "every piece was paid for");
    print!("{}", node.graph());
    for letter in node.kernel().dead_letters() {
        println!(
            "{}: {}: {}",
            letter.to.unwrap_or_default(),
            letter.text.unwrap_or_default(),
            letter.why
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use synod::sim::{Fault, sim};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_is_sold_twice_and_every_customer_hears() {
        sim(|world| {
            let sold = Arc::new(Mutex::new(0));
            world.node("mall", |node| assert!(open(node).is_some()));
            for n in 0..80 {
                let desk = world.find("mall", "front/desk").expect("it is open");
                let (comes, sold) = (world.wait(n * SECOND / 8), Arc::clone(&sold));
                world.client(&format!("customer {n}"), async move {
                    comes.await;
                    let voucher = if n % 9 == 0 { 150 } else { 20 };
                    let paid = desk.ask(|to| Order::Buy(voucher, to), MINUTE / 2).await;
                    *sold.lock().unwrap() += u64::from(matches!(paid, Ok(Ok(_))));
                });
            }
            sold
        })
        .seeds(50)
        .faults([Fault::Panic, Fault::Slow, Fault::Delay])
        .never("a piece is sold twice", |_, sold| *sold.lock().unwrap() > PIECES)
        .finally("most are sold", |_, sold| *sold.lock().unwrap() > PIECES / 2)
        .run();
    }
}
