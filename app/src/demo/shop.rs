//! The synthetic shop: what is known of each of its users. A user is a pure function of the seed and the
//! user's number, so any part of the population can be made again without the rest.
//!
//! The traits lean on each other as they do in life: device and spend on the city, interests on gender
//! and age, membership on spend. Rules over them therefore tell something.

use super::dice::Dice;

/// The app that the shop is imported as.
pub const APP: &str = "shop";

/// A tag as imported: its code and its name.
pub type Tag = (u32, &'static str);

pub const GENDER: [Tag; 2] = [(1, "male"), (2, "female")];
pub const AGE_BAND: [Tag; 6] =
    [(1, "under_18"), (2, "18-24"), (3, "25-34"), (4, "35-44"), (5, "45-54"), (6, "55_and_over")];
pub const CITY_TIER: [Tag; 6] =
    [(1, "tier_1"), (2, "tier_2"), (3, "tier_3"), (4, "tier_4"), (5, "tier_5"), (6, "tier_6")];
pub const DEVICE: [Tag; 4] = [(1, "ios"), (2, "android"), (3, "harmony"), (4, "desktop")];
pub const MEMBER_LEVEL: [Tag; 5] =
    [(1, "basic"), (2, "silver"), (3, "gold"), (4, "platinum"), (5, "diamond")];
pub const SIGNUP_CHANNEL: [Tag; 5] =
    [(1, "organic"), (2, "search_ad"), (3, "social"), (4, "friend"), (5, "store")];
pub const SPEND_BAND: [Tag; 5] =
    [(0, "none"), (1, "under_500"), (2, "500-2000"), (3, "2000-10000"), (4, "over_10000")];

/// Goods categories; an interest in one makes its carts and orders likelier.
pub const CATEGORY: [Tag; 12] = [
    (1, "beauty"),
    (2, "fashion"),
    (3, "digital"),
    (4, "gaming"),
    (5, "home"),
    (6, "baby"),
    (7, "food"),
    (8, "sport"),
    (9, "books"),
    (10, "travel"),
    (11, "pets"),
    (12, "cars"),
];

/// How many of 1000 women, and of 1000 men, care for each category.
const INTEREST_OF_WOMEN: [u64; 12] = [460, 520, 160, 90, 300, 210, 330, 150, 170, 240, 160, 40];
const INTEREST_OF_MEN: [u64; 12] = [60, 180, 430, 330, 170, 90, 260, 330, 140, 200, 100, 250];
/// Typical price of one item, in cents.
const PRICE: [u64; 12] = [8900, 15900, 89900, 19900, 12900, 9900, 4900, 18900, 3900, 69900, 5900, 25900];

/// Code, name, users in ten thousand, and the shares of city tiers 1 to 6.
type Province = (Tag, u32, [u32; 6]);
const COASTAL: [u32; 6] = [22, 24, 20, 16, 11, 7];
const INLAND: [u32; 6] = [0, 26, 20, 20, 18, 16];
const REMOTE: [u32; 6] = [0, 12, 18, 22, 24, 24];
const CITY: [u32; 6] = [88, 0, 0, 6, 4, 2];
pub const PROVINCE: [Province; 31] = [
    ((11, "Beijing"), 310, CITY),
    ((12, "Tianjin"), 120, INLAND),
    ((13, "Hebei"), 460, INLAND),
    ((14, "Shanxi"), 210, INLAND),
    ((15, "Inner Mongolia"), 140, REMOTE),
    ((21, "Liaoning"), 270, INLAND),
    ((22, "Jilin"), 140, REMOTE),
    ((23, "Heilongjiang"), 180, REMOTE),
    ((31, "Shanghai"), 370, CITY),
    ((32, "Jiangsu"), 720, COASTAL),
    ((33, "Zhejiang"), 680, COASTAL),
    ((34, "Anhui"), 430, INLAND),
    ((35, "Fujian"), 380, COASTAL),
    ((36, "Jiangxi"), 310, INLAND),
    ((37, "Shandong"), 650, COASTAL),
    ((41, "Henan"), 620, INLAND),
    ((42, "Hubei"), 410, INLAND),
    ((43, "Hunan"), 460, INLAND),
    ((44, "Guangdong"), 1210, COASTAL),
    ((45, "Guangxi"), 330, REMOTE),
    ((46, "Hainan"), 80, REMOTE),
    ((50, "Chongqing"), 260, INLAND),
    ((51, "Sichuan"), 590, INLAND),
    ((52, "Guizhou"), 230, REMOTE),
    ((53, "Yunnan"), 270, REMOTE),
    ((54, "Tibet"), 20, REMOTE),
    ((61, "Shaanxi"), 290, INLAND),
    ((62, "Gansu"), 140, REMOTE),
    ((63, "Qinghai"), 30, REMOTE),
    ((64, "Ningxia"), 50, REMOTE),
    ((65, "Xinjiang"), 160, REMOTE),
];

/// How often somebody comes: from the many who hardly do to the few who always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    Dormant,
    Light,
    Regular,
    Heavy,
}

const ACTIVITIES: [Activity; 4] = [Activity::Dormant, Activity::Light, Activity::Regular, Activity::Heavy];

/// What is known of one user. Indices point into the tables above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shopper {
    pub number: u64,
    /// Nobody knows everyone's.
    pub gender: Option<usize>,
    pub age: usize,
    pub province: usize,
    pub tier: usize,
    pub device: usize,
    pub channel: usize,
    /// Indices into [`CATEGORY`], ascending, at least one.
    pub interests: Vec<usize>,
    pub activity: Activity,
    /// Comes for what is on sale.
    pub bargains: bool,
    /// Orders of the whole life, and what they came to in yuan.
    pub orders: u64,
    pub spend: u64,
}

impl Shopper {
    /// User `number` of the shop with this seed, and the draws that follow: the user's behaviour.
    pub fn draw(seed: u64, number: u64) -> (Shopper, Dice) {
        let mut dice = Dice::new(seed, number);
        let gender = [None, Some(0), Some(1)][dice.pick(&[25, 430, 545])];
        let age = dice.pick(&[4, 22, 34, 21, 12, 7]);
        let province = dice.pick(&PROVINCE.map(|(_, users, _)| users));
        let tier = dice.pick(&PROVINCE[province].2);
        let device = dice.pick(&devices(tier));
        let channel = dice.pick(&[38, 20, 22, 14, 6]);
        let interests = interests(&mut dice, gender, age);
        let activity = ACTIVITIES[dice.pick(&[44, 34, 16, 6])];
        let bargains = dice.permille(if gender == Some(1) { 340 } else { 190 });
        let orders = orders(&mut dice, activity);
        let spend = orders * price(&mut dice, interests[0], tier) / 100;
        let shopper = Shopper {
            number,
            gender,
            age,
            province,
            tier,
            device,
            channel,
            interests,
            activity,
            bargains,
            orders,
            spend,
        };
        (shopper, dice)
    }

    pub fn member_level(&self) -> Tag {
        MEMBER_LEVEL[band(self.spend, &[1000, 4000, 15_000, 60_000])]
    }

    pub fn spend_band(&self) -> Tag {
        SPEND_BAND[band(self.spend, &[1, 500, 2000, 10_000])]
    }
}

/// What one order of this category costs here, in cents.
pub fn price(dice: &mut Dice, category: usize, tier: usize) -> u64 {
    let purse = [150, 125, 105, 95, 85, 75][tier];
    PRICE[category] * purse * dice.between(50, 180) / 10_000
}

/// How many of the rising `limits` the value has reached.
fn band(value: u64, limits: &[u64]) -> usize {
    limits.iter().filter(|limit| value >= **limit).count()
}

fn devices(tier: usize) -> [u32; 4] {
    let ios = [52, 44, 34, 28, 22, 18][tier];
    [ios, 82 - ios, 12, 6]
}

fn orders(dice: &mut Dice, activity: Activity) -> u64 {
    match activity {
        Activity::Dormant => dice.between(0, 2),
        Activity::Light => dice.between(0, 9),
        Activity::Regular => dice.between(3, 30),
        Activity::Heavy => dice.between(15, 90),
    }
}

fn interests(dice: &mut Dice, gender: Option<usize>, age: usize) -> Vec<usize> {
    let shares = if gender == Some(1) { INTEREST_OF_WOMEN } else { INTEREST_OF_MEN };
    let mut found: Vec<usize> = (0..CATEGORY.len())
        .filter(|category| {
            let share = match (CATEGORY[*category].1, age) {
                ("gaming", 0 | 1) | ("baby", 2) => shares[*category] * 2,
                ("gaming" | "baby", 4 | 5) => shares[*category] / 3,
                _ => shares[*category],
            };
            dice.permille(share)
        })
        .collect();
    if found.is_empty() {
        found.push(dice.pick(&shares.map(|share| share as u32)));
    }
    found
}
