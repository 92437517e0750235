//! Bindings of Spin's interfaces, generated from `wit/`.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "sluice:host/capabilities",
    imports: {
        "spin:sqlite/sqlite.[method]connection.execute": async | trappable,
        "spin:postgres/postgres.[static]connection.open": async | trappable,
        "spin:postgres/postgres.[method]connection.query": async | trappable,
        "spin:postgres/postgres.[method]connection.execute": async | trappable,
        "spin:postgres/postgres.[method]connection-builder.build": async | trappable,
        default: trappable,
    },
    with: {
        "spin:sqlite/sqlite.connection": crate::host::sqlite::Connection,
        "spin:postgres/postgres.connection": crate::host::postgres::Connection,
        "spin:postgres/postgres.connection-builder": crate::host::postgres::ConnectionBuilder,
        "spin:key-value/key-value.store": crate::host::key_value::Store,
    },
});
