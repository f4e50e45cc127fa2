//! Parts that fail on demand: a node and a mail server that answer badly, and a disk that is full.

mod disk;
mod lag;
mod replacement;
mod rpc_proxy;
mod rule;
mod smtp;
mod ws_proxy;

pub use self::{
    disk::Disk,
    rpc_proxy::RpcProxy,
    rule::{Fault, Rule},
    smtp::{SmtpFault, SmtpServer, Taken},
    ws_proxy::{SocketFault, WsProxy},
};
