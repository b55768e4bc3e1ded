//! The system that is modelled: an online shop that sells lamps.
//!
//! Someone looks at lamps, puts some into a cart, and pays:
//!
//! ```text
//! frontend ─┬─ catalogue ── redis, postgresql
//!           ├─ recommendation ── catalogue
//!           ├─ currency
//!           ├─ cart ── redis, catalogue
//!           ├─ inventory ── postgresql
//!           └─ checkout ─┬─ cart, catalogue, currency, inventory
//!                        ├─ shipping
//!                        ├─ payment ── the bank
//!                        └─ kafka ─┬─ email ── the mail provider
//!                                  ├─ inventory ── postgresql
//!                                  └─ analytics (in batches) ── postgresql
//! ```

pub(crate) mod backend;
pub(crate) mod front;
pub(crate) mod leaves;
pub(crate) mod services;

pub(crate) use backend::ANALYSE;
pub(crate) use front::JOURNEYS;
pub(crate) use services::{PEERS, SERVICES};

/// What is sold, and where its page is.
pub(crate) const PRODUCTS: [(&str, &str); 12] = [
    ("lamp-101", "/api/products/lamp-101"),
    ("lamp-102", "/api/products/lamp-102"),
    ("lamp-117", "/api/products/lamp-117"),
    ("lamp-203", "/api/products/lamp-203"),
    ("lamp-204", "/api/products/lamp-204"),
    ("lamp-219", "/api/products/lamp-219"),
    ("shade-031", "/api/products/shade-031"),
    ("shade-032", "/api/products/shade-032"),
    ("bulb-e14", "/api/products/bulb-e14"),
    ("bulb-e27", "/api/products/bulb-e27"),
    ("cable-2m", "/api/products/cable-2m"),
    ("aldis-1917", "/api/products/aldis-1917"),
];

/// What people pay in.
pub(crate) const CURRENCIES: [&str; 4] = ["EUR", "CHF", "USD", "JPY"];

/// What people look with.
pub(crate) const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "LampShop/3.2 (Android 15)",
];

/// Where people are: addresses reserved for documentation (RFC 5737, RFC 3849).
pub(crate) const CLIENTS: [&str; 6] =
    ["192.0.2.17", "192.0.2.201", "198.51.100.4", "198.51.100.77", "203.0.113.9", "2001:db8::2f"];

#[cfg(test)]
mod tests;
