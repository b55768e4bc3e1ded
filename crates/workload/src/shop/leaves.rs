//! Statements, commands and foreign requests.

use super::services::{BANK, MAIL, POSTGRESQL, REDIS};
use crate::latency::{Latency, heavy, usual};
use crate::model::{Leaf, LeafKind};

const fn sql(
    id: u8,
    name: &'static str,
    operation: &'static str,
    collection: &'static str,
    text: &'static str,
    latency: Latency,
) -> Leaf {
    let kind = LeafKind::Sql { operation, collection, text };
    Leaf { id, peer: POSTGRESQL, name, kind, latency, fails_per_million: 200 }
}

const fn redis(id: u8, operation: &'static str) -> Leaf {
    let kind = LeafKind::Redis { operation };
    Leaf { id, peer: REDIS, name: operation, kind, latency: usual(350), fails_per_million: 50 }
}

pub(crate) static LIST_PRODUCTS: Leaf = sql(
    0,
    "SELECT products",
    "SELECT",
    "products",
    "SELECT id, name, price FROM products ORDER BY rank LIMIT $1",
    usual(2_400),
);
pub(crate) static GET_PRODUCT: Leaf = sql(
    0,
    "SELECT products",
    "SELECT",
    "products",
    "SELECT id, name, price, description FROM products WHERE id = $1",
    usual(1_300),
);
pub(crate) static SEARCH: Leaf = sql(
    0,
    "SELECT products",
    "SELECT",
    "products",
    "SELECT id, name FROM products WHERE document @@ websearch_to_tsquery($1) LIMIT 50",
    heavy(14_000),
);
pub(crate) static GET_STOCK: Leaf = sql(
    1,
    "SELECT stock",
    "SELECT",
    "stock",
    "SELECT available FROM stock WHERE product_id = $1",
    usual(1_100),
);
pub(crate) static LOCK_STOCK: Leaf = sql(
    1,
    "SELECT stock",
    "SELECT",
    "stock",
    "SELECT available FROM stock WHERE product_id = ANY($1) FOR UPDATE",
    heavy(2_000),
);
pub(crate) static TAKE_STOCK: Leaf = sql(
    2,
    "UPDATE stock",
    "UPDATE",
    "stock",
    "UPDATE stock SET available = available - $2 WHERE product_id = $1",
    usual(1_800),
);
pub(crate) static INSERT_MOVEMENT: Leaf = sql(
    3,
    "INSERT movements",
    "INSERT",
    "movements",
    "INSERT INTO movements (order_id, product_id, amount) VALUES ($1, $2, $3)",
    usual(1_500),
);
pub(crate) static INSERT_FACTS: Leaf = sql(
    4,
    "INSERT order_facts",
    "INSERT",
    "order_facts",
    "INSERT INTO order_facts SELECT * FROM unnest($1::uuid[], $2::numeric[])",
    heavy(6_000),
);

pub(crate) static CACHE_GET: Leaf = redis(5, "GET");
pub(crate) static CACHE_SET: Leaf = redis(6, "SET");
pub(crate) static CART_GET: Leaf = redis(7, "HGETALL");
pub(crate) static CART_PUT: Leaf = redis(8, "HSET");
pub(crate) static CART_DELETE: Leaf = redis(9, "DEL");

pub(crate) static BANK_CHARGE: Leaf = Leaf {
    id: 10,
    peer: BANK,
    name: "POST",
    kind: LeafKind::Http { method: "POST", url: "https://api.bank.example/v2/charges" },
    latency: heavy(85_000),
    fails_per_million: 4_000,
};
pub(crate) static SEND_MAIL: Leaf = Leaf {
    id: 11,
    peer: MAIL,
    name: "POST",
    kind: LeafKind::Http { method: "POST", url: "https://api.mail.example/v1/messages" },
    latency: usual(60_000),
    fails_per_million: 2_000,
};

/// Every leaf.
#[cfg(test)]
pub(crate) static LEAVES: [&Leaf; 15] = [
    &LIST_PRODUCTS,
    &GET_PRODUCT,
    &SEARCH,
    &GET_STOCK,
    &LOCK_STOCK,
    &TAKE_STOCK,
    &INSERT_MOVEMENT,
    &INSERT_FACTS,
    &CACHE_GET,
    &CACHE_SET,
    &CART_GET,
    &CART_PUT,
    &CART_DELETE,
    &BANK_CHARGE,
    &SEND_MAIL,
];
