//! The server

pub mod d1;
