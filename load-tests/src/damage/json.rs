//! Damage to JSON that keeps it JSON, most of the time: other values, missing and repeated entries, one
//! entry in the place of another.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

use super::bytes::change;

/// The text, changed in one to three places.
pub fn changed(rng: &mut StdRng, text: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(text).unwrap_or_default();
    if rng.random_bool(0.1) {
        let mut bytes = text.to_vec();
        change(rng, &mut bytes);
        return bytes;
    }
    for _ in 0..rng.random_range(1..=3) {
        let count = nodes(&value);
        let donor = node(&mut value, &mut rng.random_range(0..count)).map(|donor| donor.clone());
        let Some(place) = node(&mut value, &mut rng.random_range(0..count)) else { continue };
        change_node(rng, place, donor.unwrap_or_default());
    }
    value.to_string().into_bytes()
}

fn change_node(rng: &mut StdRng, place: &mut Value, donor: Value) {
    let other = match rng.random_range(0..4) {
        0 => donor,
        _ => edge(rng),
    };
    match place {
        Value::Array(items) if rng.random_bool(0.7) => match rng.random_range(0..3) {
            0 => drop(items.pop()),
            1 => items.push(other),
            _ => items.extend(items.first().cloned()),
        },
        Value::Object(fields) if rng.random_bool(0.7) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let Some(name) = names.choose(rng) else { return };
            let Some(field) = fields.remove(name) else { return };
            match rng.random_range(0..3) {
                0 => {}
                1 => drop(
                    fields.insert(["7", "-1", "19700101", "", "x"][rng.random_range(0..5)].into(), field),
                ),
                _ => drop(fields.insert(name.clone(), other)),
            }
        }
        Value::Number(number) if rng.random_bool(0.4) => {
            let step = rng.random_range(-2..=2);
            *place = json!(number.as_i64().unwrap_or_default().saturating_add(step));
        }
        place => *place = other,
    }
}

fn edge(rng: &mut StdRng) -> Value {
    let numbers = [
        json!(0),
        json!(1),
        json!(-1),
        json!(255),
        json!(65_536),
        json!(i32::MAX),
        json!(u32::MAX),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
    ];
    let others = [json!(null), json!(""), json!("x"), json!([]), json!({}), json!([0, 1]), json!(true)];
    let edges: &[Value] = if rng.random_bool(0.7) { &numbers } else { &others };
    edges.choose(rng).cloned().unwrap_or_default()
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(fields) => fields.values().map(nodes).sum(),
        _ => 0,
    }
}

/// Node number `n`, parents first.
fn node<'v>(value: &'v mut Value, n: &mut usize) -> Option<&'v mut Value> {
    if *n == 0 {
        return Some(value);
    }
    *n -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, n)),
        Value::Object(fields) => fields.values_mut().find_map(|field| node(field, n)),
        _ => None,
    }
}
