//! Bindings of Spin's interfaces, generated from `wit/`.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "sluice:host/capabilities",
    imports: {
        "spin:sqlite/sqlite.[method]connection.execute": async | trappable,
        default: trappable,
    },
    with: {
        "spin:sqlite/sqlite.connection": crate::host::sqlite::Connection,
        "spin:key-value/key-value.store": crate::host::key_value::Store,
    },
});
