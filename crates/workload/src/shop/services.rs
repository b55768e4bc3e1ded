//! The services, and the systems that they use.

use crate::model::{Peer, Service};

pub(crate) const FRONTEND: u8 = 0;
pub(crate) const CART: u8 = 1;
pub(crate) const CATALOGUE: u8 = 2;
pub(crate) const RECOMMENDATION: u8 = 3;
pub(crate) const CURRENCY: u8 = 4;
pub(crate) const CHECKOUT: u8 = 5;
pub(crate) const INVENTORY: u8 = 6;
pub(crate) const PAYMENT: u8 = 7;
pub(crate) const SHIPPING: u8 = 8;
pub(crate) const EMAIL: u8 = 9;
pub(crate) const ANALYTICS: u8 = 10;

/// By number. The libraries are, in this order: the program itself, HTTP, gRPC, databases, messaging.
pub(crate) static SERVICES: [Service; 11] = [
    Service {
        name: "frontend",
        version: "3.2.1",
        language: "nodejs",
        sdk_version: "2.1.0",
        port: 8080,
        libraries: node("shop.frontend"),
        exceptions: NODE,
        stack: "Error\n    at handle (/app/src/server.ts:88:13)\n    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)",
    },
    Service {
        name: "cart",
        version: "1.9.0",
        language: "dotnet",
        sdk_version: "1.12.0",
        port: 7070,
        libraries: [
            ("Shop.Cart", "1.9.0"),
            ("Microsoft.AspNetCore", "9.0.0"),
            ("OpenTelemetry.Instrumentation.GrpcCore", "1.0.0-beta.6"),
            ("OpenTelemetry.Instrumentation.StackExchangeRedis", "1.12.0-beta.1"),
            ("OpenTelemetry.Instrumentation.ConfluentKafka", "0.1.0-alpha.2"),
        ],
        exceptions: [
            "Grpc.Core.RpcException",
            "System.TimeoutException",
            "System.InvalidOperationException",
            "Shop.DeclinedException",
            "System.Collections.Generic.KeyNotFoundException",
        ],
        stack: "   at Shop.Cart.CartStore.LoadAsync(String userId) in /src/CartStore.cs:line 71\n   at Shop.Cart.CartService.GetCart(GetCartRequest request) in /src/CartService.cs:line 40",
    },
    Service {
        name: "catalogue",
        version: "2.4.0",
        language: "go",
        sdk_version: "1.38.0",
        port: 3550,
        libraries: go("shop/catalogue"),
        exceptions: GO,
        stack: "shop/catalogue.(*server).GetProduct\n\t/src/catalogue/server.go:152",
    },
    Service {
        name: "recommendation",
        version: "0.17.3",
        language: "python",
        sdk_version: "1.37.0",
        port: 9001,
        libraries: [
            ("shop.recommendation", "0.17.3"),
            ("opentelemetry.instrumentation.requests", "0.58b0"),
            ("opentelemetry.instrumentation.grpc", "0.58b0"),
            ("opentelemetry.instrumentation.redis", "0.58b0"),
            ("opentelemetry.instrumentation.kafka", "0.58b0"),
        ],
        exceptions: ["grpc.RpcError", "TimeoutError", "RuntimeError", "shop.Declined", "KeyError"],
        stack: "Traceback (most recent call last):\n  File \"/app/recommendation.py\", line 64, in ListRecommendations\n    ranked = self.model.rank(candidates)",
    },
    Service {
        name: "currency",
        version: "1.0.8",
        language: "cpp",
        sdk_version: "1.22.0",
        port: 7001,
        libraries: [
            ("shop_currency", "1.0.8"),
            ("shop_http", "1.0.8"),
            ("shop_grpc", "1.0.8"),
            ("shop_db", "1.0.8"),
            ("shop_kafka", "1.0.8"),
        ],
        exceptions: [
            "grpc::Status",
            "std::runtime_error",
            "std::logic_error",
            "shop::Declined",
            "std::out_of_range",
        ],
        stack: "#0 shop::Currency::Convert currency.cc:97\n#1 grpc::internal::RpcMethodHandler::RunHandler",
    },
    Service {
        name: "checkout",
        version: "5.0.2",
        language: "go",
        sdk_version: "1.38.0",
        port: 5050,
        libraries: go("shop/checkout"),
        exceptions: GO,
        stack: "shop/checkout.(*server).PlaceOrder\n\t/src/checkout/server.go:214",
    },
    Service {
        name: "inventory",
        version: "2.0.0",
        language: "java",
        sdk_version: "1.54.0",
        port: 7180,
        libraries: java("shop.inventory"),
        exceptions: JAVA,
        stack: "io.grpc.StatusRuntimeException\n\tat shop.inventory.Stock.reserve(Stock.java:118)\n\tat shop.inventory.InventoryService.reserve(InventoryService.java:52)",
    },
    Service {
        name: "payment",
        version: "4.7.0",
        language: "nodejs",
        sdk_version: "2.1.0",
        port: 50051,
        libraries: node("shop.payment"),
        exceptions: NODE,
        stack: "Error\n    at charge (/app/charge.js:31:11)\n    at async Server.chargeServiceHandler (/app/index.js:24:20)",
    },
    Service {
        name: "shipping",
        version: "1.3.0",
        language: "rust",
        sdk_version: "0.31.0",
        port: 8088,
        libraries: [
            ("shop_shipping", "1.3.0"),
            ("opentelemetry-instrumentation-actix-web", "0.23.0"),
            ("opentelemetry-instrumentation-tonic", "0.1.0"),
            ("tracing-sqlx", "0.9.0"),
            ("tracing-rdkafka", "0.2.0"),
        ],
        exceptions: [
            "reqwest::Error",
            "shipping::Elapsed",
            "anyhow::Error",
            "shipping::Declined",
            "shipping::NotFound",
        ],
        stack: "   0: shipping::quote::price\n             at ./src/quote.rs:57\n   1: actix_web::handler::handler_service",
    },
    Service {
        name: "email",
        version: "0.9.4",
        language: "ruby",
        sdk_version: "1.10.0",
        port: 6060,
        libraries: [
            ("shop.email", "0.9.4"),
            ("OpenTelemetry::Instrumentation::Net::HTTP", "0.23.1"),
            ("OpenTelemetry::Instrumentation::Grpc", "0.3.0"),
            ("OpenTelemetry::Instrumentation::PG", "0.30.1"),
            ("OpenTelemetry::Instrumentation::Rdkafka", "0.7.0"),
        ],
        exceptions: ["Errno::ECONNREFUSED", "Net::ReadTimeout", "RuntimeError", "Shop::Declined", "KeyError"],
        stack: "/app/email.rb:38:in 'send_confirmation'\n/app/consumer.rb:17:in 'block in run'",
    },
    Service {
        name: "analytics",
        version: "7.1.0",
        language: "java",
        sdk_version: "1.54.0",
        port: 7190,
        libraries: java("shop.analytics"),
        exceptions: JAVA,
        stack: "java.lang.IllegalStateException\n\tat shop.analytics.Batch.write(Batch.java:66)\n\tat shop.analytics.Main.poll(Main.java:41)",
    },
];

type Libraries = [(&'static str, &'static str); 5];

const fn node(own: &'static str) -> Libraries {
    [
        (own, "1.0.0"),
        ("@opentelemetry/instrumentation-http", "0.205.0"),
        ("@opentelemetry/instrumentation-grpc", "0.205.0"),
        ("@opentelemetry/instrumentation-pg", "0.59.0"),
        ("@opentelemetry/instrumentation-kafkajs", "0.15.0"),
    ]
}

const fn go(own: &'static str) -> Libraries {
    [
        (own, "1.0.0"),
        ("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "0.63.0"),
        ("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "0.63.0"),
        ("github.com/XSAM/otelsql", "0.40.0"),
        ("github.com/twmb/franz-go/plugin/kotel", "1.6.0"),
    ]
}

const fn java(own: &'static str) -> Libraries {
    [
        (own, "1.0.0"),
        ("io.opentelemetry.java-http-client", "2.20.0-alpha"),
        ("io.opentelemetry.grpc-1.6", "2.20.0-alpha"),
        ("io.opentelemetry.jdbc", "2.20.0-alpha"),
        ("io.opentelemetry.kafka-clients-0.11", "2.20.0-alpha"),
    ]
}

/// Unavailable, deadline, internal, declined, not found.
const NODE: [&str; 5] = ["ConnectionError", "TimeoutError", "TypeError", "DeclinedError", "NotFoundError"];
const GO: [&str; 5] = [
    "*net.OpError",
    "context.deadlineExceededError",
    "*errors.errorString",
    "*checkout.DeclinedError",
    "*catalogue.NotFoundError",
];
const JAVA: [&str; 5] = [
    "java.net.ConnectException",
    "java.util.concurrent.TimeoutException",
    "java.lang.IllegalStateException",
    "shop.DeclinedException",
    "java.util.NoSuchElementException",
];

pub(crate) const POSTGRESQL: u8 = 0;
pub(crate) const REDIS: u8 = 1;
pub(crate) const BANK: u8 = 2;
pub(crate) const MAIL: u8 = 3;

/// By number.
pub(crate) static PEERS: [Peer; 4] = [
    Peer { name: "postgresql", address: "postgres.shop.svc", port: 5432 },
    Peer { name: "redis", address: "redis.shop.svc", port: 6379 },
    Peer { name: "api.bank.example", address: "api.bank.example", port: 443 },
    Peer { name: "api.mail.example", address: "api.mail.example", port: 443 },
];

/// The broker: where messages are sent.
pub(crate) static KAFKA: Peer = Peer { name: "kafka", address: "kafka.shop.svc", port: 9092 };
