//! Bitmaps as the evaluator reads them: zero-copy views of portable roaring bytes, one block of
//! 65,536 bits as scratch, integers per position as bit planes, and the two byte formats built on
//! them (ClickHouse's `groupBitmap` and bit-sliced columns). Slices in, slices out: no I/O.

mod block;
mod container;
mod encode;
mod kernels;
mod masked;
mod planes;
mod prefetch;
mod small_sums;
mod tally;
mod view;

pub mod clickhouse;
pub mod slices;

pub use block::Block;
pub use container::{Container, Containers};
pub use encode::{Encoder, encode};
pub use planes::{Planes, compare_difference, compare_planes};
pub use slices::SlicesView;
pub use small_sums::SmallSums;
pub use tally::{Tally, TallyScratch};
pub use view::{BitmapView, Malformed};

#[cfg(not(target_endian = "little"))]
compile_error!("blocks are read as little-endian words straight from portable roaring bytes");
