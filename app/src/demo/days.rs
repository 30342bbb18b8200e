//! What a shopper does on each of the days: visits, carts and orders, already summed up per day and
//! dimensions as the behaviour import wants them.

use super::dice::Dice;
use super::shop::{Activity, CATEGORY, Shopper, price};

/// Days of behaviour, the last of which is the day the data end on.
pub const DAYS: usize = 30;
/// In the last days of the period there is a sale.
const SALE_DAYS: usize = 7;

const PAGES: [&str; 7] = ["/home", "/search", "/category", "/item", "/sale", "/cart", "/me"];
const CHANNELS: [&str; 5] = ["direct", "push", "search", "social", "mini_program"];

/// One row of behaviour; an empty dimension is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// From 0, the oldest day.
    pub day: usize,
    pub event: &'static str,
    pub pv: u64,
    pub page: &'static str,
    pub channel: &'static str,
    pub category: &'static str,
    /// Cents.
    pub amount: Option<u64>,
}

/// Appends the acts of the shopper, day by day. `weekday(day)` counts from Monday = 0.
pub fn acts(shopper: &Shopper, dice: &mut Dice, weekday: impl Fn(usize) -> u64, into: &mut Vec<Act>) {
    let daily = match shopper.activity {
        Activity::Dormant => 6,
        Activity::Light => 55,
        Activity::Regular => 250,
        Activity::Heavy => 680,
    };
    // Some stop coming in the middle of the period: the ones to win back.
    let lost_from = if dice.permille(120) { dice.between(8, 22) as usize } else { DAYS };
    for day in 0..DAYS {
        let sale = day >= DAYS - SALE_DAYS;
        let mut chance = if weekday(day) >= 5 { daily * 13 / 10 } else { daily };
        if sale && shopper.bargains {
            chance = chance * 16 / 10 + 30;
        }
        let comes = dice.permille(chance);
        if comes && day < lost_from {
            act(shopper, dice, day, sale, into);
        }
    }
}

fn act(shopper: &Shopper, dice: &mut Dice, day: usize, sale: bool, into: &mut Vec<Act>) {
    let nothing = Act { day, event: "visit", pv: 1, page: "", channel: "", category: "", amount: None };
    let channel = CHANNELS[dice.pick(&[40, 18, 14, 12, 16])];
    let on_sale = match (sale, shopper.bargains) {
        (true, true) => 720,
        (true, false) => 260,
        (false, true) => 240,
        (false, false) => 80,
    };
    let first = into.len();
    for (page, share) in PAGES.iter().zip([620, 240, 300, 450, on_sale, 120, 80]) {
        if dice.permille(share) {
            into.push(Act { page, channel, pv: dice.halving(12), ..nothing });
        }
    }
    if into.len() == first {
        into.push(Act { page: PAGES[0], channel, ..nothing });
    }
    let eager = shopper.activity as u64;
    if !dice.permille(110 + 70 * eager) {
        return;
    }
    let wanted = category(shopper, dice);
    into.push(Act { event: "cart", pv: dice.halving(5), category: CATEGORY[wanted].1, ..nothing });
    let buys = if sale { 300 } else { 220 } + 60 * eager;
    if !dice.permille(buys) {
        return;
    }
    let items = dice.halving(4);
    let amount = items * price(dice, wanted, shopper.tier);
    into.push(Act { event: "order", category: CATEGORY[wanted].1, amount: Some(amount), ..nothing });
}

/// Mostly what the shopper cares for.
fn category(shopper: &Shopper, dice: &mut Dice) -> usize {
    if dice.permille(820) {
        *dice.choose(&shopper.interests)
    } else {
        dice.below(CATEGORY.len() as u64) as usize
    }
}
