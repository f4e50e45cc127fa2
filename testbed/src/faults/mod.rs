//! Parts that fail on demand: a node that answers badly.

mod lag;
mod replacement;
mod rpc_proxy;
mod rule;

pub use self::{
    rpc_proxy::RpcProxy,
    rule::{Fault, Rule},
};
