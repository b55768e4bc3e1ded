//! What people ask the frontend, and how often.

use super::backend::{
    CART_OF, CONVERT, PLACE_ORDER, PRODUCT, PRODUCTS, PUT_INTO_CART, RECOMMEND, SEARCH_PRODUCTS, STOCK, call,
    try_call,
};
use super::services::FRONTEND;
use crate::latency::{steady, usual};
use crate::model::{Block, Endpoint, Entry, Step};

const fn page(
    id: u8,
    name: &'static str,
    method: &'static str,
    route: &'static str,
    steps: &'static [Step],
) -> Endpoint {
    Endpoint { id, service: FRONTEND, entry: Entry::Http { name, method, route }, steps }
}

static RENDER: Block = Block { id: 2, name: "render", steps: &[Step::Work(usual(1_800))] };

static HOME: Endpoint = page(
    0,
    "GET /",
    "GET",
    "/",
    &[
        Step::Work(steady(250)),
        Step::Parallel(&[
            call(&PRODUCTS, 800, 2),
            try_call(&RECOMMEND, 350),
            try_call(&CART_OF, 300),
            call(&CONVERT, 300, 2),
        ]),
        Step::Block(&RENDER),
        Step::Work(steady(90)),
    ],
);

/// The route whose path names a product.
pub(crate) const PRODUCT_ROUTE: &str = "/api/products/{id}";

static SHOW: Endpoint = page(
    1,
    "GET /api/products/{id}",
    "GET",
    PRODUCT_ROUTE,
    &[
        Step::Work(steady(180)),
        call(&PRODUCT, 500, 2),
        Step::Parallel(&[try_call(&RECOMMEND, 350), call(&CONVERT, 300, 2), try_call(&STOCK, 250)]),
        Step::Work(steady(200)),
    ],
);

static LOOK_INTO_CART: Endpoint = page(
    2,
    "GET /api/cart",
    "GET",
    "/api/cart",
    &[
        Step::Work(steady(160)),
        call(&CART_OF, 500, 2),
        Step::Repeat { least: 0, most: 5, parallel: true, step: &call(&PRODUCT, 500, 2) },
        Step::Work(steady(140)),
    ],
);

static ADD: Endpoint = page(
    3,
    "POST /api/cart",
    "POST",
    "/api/cart",
    &[Step::Work(steady(220)), call(&PUT_INTO_CART, 900, 2), Step::Work(steady(100))],
);

static FIND: Endpoint = page(
    4,
    "GET /api/search",
    "GET",
    "/api/search",
    &[Step::Work(steady(240)), call(&SEARCH_PRODUCTS, 2_000, 1), Step::Work(steady(160))],
);

static CHECK_OUT: Endpoint = page(
    5,
    "POST /api/checkout",
    "POST",
    "/api/checkout",
    &[
        Step::Work(steady(350)),
        call(&PLACE_ORDER, 8_000, 1),
        Step::Sometimes { per_million: 400_000, steps: &[try_call(&RECOMMEND, 350)] },
        Step::Work(steady(200)),
    ],
);

/// What people ask for, with weights.
pub(crate) static JOURNEYS: [(&Endpoint, u32); 6] =
    [(&HOME, 25), (&SHOW, 35), (&LOOK_INTO_CART, 12), (&ADD, 10), (&FIND, 10), (&CHECK_OUT, 8)];
