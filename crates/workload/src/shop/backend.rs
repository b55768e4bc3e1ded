//! What the services behind the frontend do when they are asked.

use super::leaves::{
    BANK_CHARGE, CACHE_GET, CACHE_SET, CART_DELETE, CART_GET, CART_PUT, GET_PRODUCT, GET_STOCK, INSERT_FACTS,
    INSERT_MOVEMENT, LIST_PRODUCTS, LOCK_STOCK, SEARCH, SEND_MAIL, TAKE_STOCK,
};
use super::services::{
    ANALYTICS, CART, CATALOGUE, CHECKOUT, CURRENCY, EMAIL, INVENTORY, PAYMENT, RECOMMENDATION, SHIPPING,
};
use crate::latency::{heavy, steady, usual};
use crate::model::{Block, Call, Endpoint, Entry, Failure, Step, Topic};

/// A call without which the caller cannot go on.
pub(super) const fn call(to: &'static Endpoint, timeout_ms: u32, attempts: u8) -> Step {
    Step::Call(Call { to, timeout_ms, attempts, required: true })
}

/// A call that the caller can do without.
pub(super) const fn try_call(to: &'static Endpoint, timeout_ms: u32) -> Step {
    Step::Call(Call { to, timeout_ms, attempts: 1, required: false })
}

const fn rpc(id: u8, service: u8, method: &'static str, steps: &'static [Step]) -> Endpoint {
    Endpoint { id, service, entry: Entry::Rpc(method), steps }
}

pub(crate) static CART_OF: Endpoint = rpc(
    8,
    CART,
    "shop.v1.CartService/GetCart",
    &[Step::Work(steady(150)), Step::Leaf(&CART_GET), Step::Work(steady(120))],
);

pub(crate) static PUT_INTO_CART: Endpoint = rpc(
    9,
    CART,
    "shop.v1.CartService/AddItem",
    &[Step::Work(steady(200)), call(&PRODUCT, 500, 2), Step::Leaf(&CART_PUT), Step::Work(steady(100))],
);

pub(crate) static EMPTY_CART: Endpoint =
    rpc(10, CART, "shop.v1.CartService/EmptyCart", &[Step::Work(steady(90)), Step::Leaf(&CART_DELETE)]);

pub(crate) static PRODUCTS: Endpoint = rpc(
    11,
    CATALOGUE,
    "shop.v1.CatalogueService/ListProducts",
    &[Step::Work(steady(250)), Step::Leaf(&LIST_PRODUCTS), Step::Work(usual(400))],
);

pub(crate) static PRODUCT: Endpoint = rpc(
    12,
    CATALOGUE,
    "shop.v1.CatalogueService/GetProduct",
    &[
        Step::Work(steady(80)),
        Step::Cached {
            get: &CACHE_GET,
            hits_per_million: 920_000,
            miss: &[Step::Leaf(&GET_PRODUCT), Step::Leaf(&CACHE_SET)],
        },
        Step::Refuse { per_million: 1_500, failure: Failure::NotFound },
        Step::Work(steady(70)),
    ],
);

pub(crate) static SEARCH_PRODUCTS: Endpoint = rpc(
    13,
    CATALOGUE,
    "shop.v1.CatalogueService/SearchProducts",
    &[Step::Work(steady(400)), Step::Leaf(&SEARCH), Step::Work(usual(900))],
);

static RANK: Block = Block { id: 0, name: "rank_candidates", steps: &[Step::Work(heavy(4_500))] };

pub(crate) static RECOMMEND: Endpoint = rpc(
    14,
    RECOMMENDATION,
    "shop.v1.RecommendationService/ListRecommendations",
    &[Step::Work(usual(700)), call(&PRODUCTS, 400, 1), Step::Block(&RANK), Step::Work(steady(200))],
);

pub(crate) static CONVERT: Endpoint =
    rpc(15, CURRENCY, "shop.v1.CurrencyService/Convert", &[Step::Work(steady(60))]);

pub(crate) static STOCK: Endpoint = rpc(
    16,
    INVENTORY,
    "shop.v1.InventoryService/GetStock",
    &[Step::Work(steady(130)), Step::Leaf(&GET_STOCK), Step::Work(steady(80))],
);

pub(crate) static RESERVE: Endpoint = rpc(
    17,
    INVENTORY,
    "shop.v1.InventoryService/Reserve",
    &[Step::Work(steady(220)), Step::Leaf(&LOCK_STOCK), Step::Leaf(&TAKE_STOCK), Step::Work(steady(150))],
);

static PREPARE: Block = Block {
    id: 1,
    name: "prepare_order",
    steps: &[
        call(&CART_OF, 500, 2),
        Step::Repeat {
            least: 1,
            most: 4,
            parallel: true,
            step: &Step::Parallel(&[call(&PRODUCT, 500, 2), call(&CONVERT, 300, 2)]),
        },
        call(&QUOTE, 800, 2),
    ],
};

pub(crate) static PLACE_ORDER: Endpoint = rpc(
    18,
    CHECKOUT,
    "shop.v1.CheckoutService/PlaceOrder",
    &[
        Step::Work(steady(300)),
        Step::Block(&PREPARE),
        call(&RESERVE, 1_000, 2),
        call(&CHARGE, 1_200, 3),
        call(&SHIP, 1_000, 3),
        try_call(&EMPTY_CART, 300),
        Step::Publish(&ORDERS),
        Step::OrderPlaced,
        Step::Work(steady(150)),
    ],
);

pub(crate) static CHARGE: Endpoint = rpc(
    19,
    PAYMENT,
    "shop.v1.PaymentService/Charge",
    &[
        Step::Work(usual(600)),
        Step::Refuse { per_million: 15_000, failure: Failure::Declined },
        Step::Leaf(&BANK_CHARGE),
        Step::Work(steady(250)),
    ],
);

pub(crate) static QUOTE: Endpoint = Endpoint {
    id: 20,
    service: SHIPPING,
    entry: Entry::Http { name: "POST /quote", method: "POST", route: "/quote" },
    steps: &[Step::Work(usual(1_200))],
};

pub(crate) static SHIP: Endpoint = Endpoint {
    id: 21,
    service: SHIPPING,
    entry: Entry::Http { name: "POST /shipments", method: "POST", route: "/shipments" },
    steps: &[Step::Work(usual(2_200))],
};

pub(crate) static ORDERS: Topic = Topic {
    id: 0,
    name: "orders",
    send: "send orders",
    latency: usual(1_400),
    consumers: &[&CONFIRM, &MOVE_STOCK],
    lag: heavy(9_000),
};

pub(crate) static CONFIRM: Endpoint = Endpoint {
    id: 22,
    service: EMAIL,
    entry: Entry::Message { name: "process orders", topic: &ORDERS, group: "email" },
    steps: &[Step::Work(usual(900)), Step::Leaf(&SEND_MAIL), Step::Work(steady(120))],
};

pub(crate) static MOVE_STOCK: Endpoint = Endpoint {
    id: 23,
    service: INVENTORY,
    entry: Entry::Message { name: "process orders", topic: &ORDERS, group: "inventory" },
    steps: &[
        Step::Work(steady(180)),
        Step::Repeat { least: 1, most: 4, parallel: false, step: &Step::Leaf(&INSERT_MOVEMENT) },
    ],
};

/// Processes many messages at once, in a trace of its own that links to them.
pub(crate) static ANALYSE: Endpoint = Endpoint {
    id: 24,
    service: ANALYTICS,
    entry: Entry::Message { name: "process orders", topic: &ORDERS, group: "analytics" },
    steps: &[Step::Work(usual(2_500)), Step::Leaf(&INSERT_FACTS), Step::Work(steady(400))],
};

/// Every endpoint behind the frontend.
#[cfg(test)]
pub(crate) static ENDPOINTS: [&Endpoint; 17] = [
    &CART_OF,
    &PUT_INTO_CART,
    &EMPTY_CART,
    &PRODUCTS,
    &PRODUCT,
    &SEARCH_PRODUCTS,
    &RECOMMEND,
    &CONVERT,
    &STOCK,
    &RESERVE,
    &PLACE_ORDER,
    &CHARGE,
    &QUOTE,
    &SHIP,
    &CONFIRM,
    &MOVE_STOCK,
    &ANALYSE,
];
