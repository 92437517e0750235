//! `spin:variables@3.0.0`.

use super::InstanceState;
use super::bindings::spin::variables::variables::{self, Error, Host, HostWithStore};
use crate::config::names;
use wasmtime::component::{Accessor, HasData, Linker};

/// Adds the capability.
pub fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    variables::add_to_linker::<_, Variables>(linker, |state| state)
}

/// Marks the capability in the linker.
pub struct Variables;

impl HasData for Variables {
    type Data<'a> = &'a mut InstanceState;
}

impl Host for &mut InstanceState {}

impl HostWithStore<InstanceState> for Variables {
    async fn get(
        accessor: &Accessor<InstanceState, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        Ok(accessor.with(|mut access| {
            if !names::is_variable(&name) {
                return Err(Error::InvalidName(format!(
                    "`{name}` is not a variable name"
                )));
            }
            match access.get().grants.config.variables.get(&name) {
                Some(value) => Ok(value.clone()),
                None => Err(Error::Undefined(format!(
                    "no variable `{name}` for this component"
                ))),
            }
        }))
    }
}
