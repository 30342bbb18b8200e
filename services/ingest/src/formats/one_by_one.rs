//! A sink for formats that are read on one thread: cuts what comes into pieces.

use std::io;

use crate::rows::{BadRow, BehaviorRow, BehaviorSink, LabelRow, LabelSink, Pieces, Refuse};

/// Rows of a piece.
const ROWS: usize = 16 * 1024;

pub(super) struct OneByOne<'a, P: Pieces> {
    pieces: &'a mut P,
    piece: P::Piece,
    rows: usize,
}

impl<'a, P: Pieces> OneByOne<'a, P> {
    pub fn new(pieces: &'a mut P) -> OneByOne<'a, P> {
        let piece = pieces.start()();
        OneByOne { pieces, piece, rows: 0 }
    }

    fn piece(&mut self) -> io::Result<&mut P::Piece> {
        if self.rows == ROWS {
            self.turn()?;
        }
        self.rows += 1;
        Ok(&mut self.piece)
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut full = std::mem::replace(&mut self.piece, self.pieces.start()());
        self.rows = 0;
        full.end();
        self.pieces.take(full)
    }

    /// Hands on what there is.
    pub fn finish(mut self) -> io::Result<()> {
        self.turn()
    }
}

impl<P: Pieces> Refuse for OneByOne<'_, P> {
    fn refuse(&mut self, bad: &BadRow<'_>) -> io::Result<()> {
        self.piece()?.refuse(bad)
    }
}

impl<P: Pieces<Piece: LabelSink>> LabelSink for OneByOne<'_, P> {
    fn label(&mut self, line: u64, row: &LabelRow<'_>) -> io::Result<()> {
        self.piece()?.label(line, row)
    }
}

impl<P: Pieces<Piece: BehaviorSink>> BehaviorSink for OneByOne<'_, P> {
    fn behavior(&mut self, line: u64, row: &BehaviorRow<'_>) -> io::Result<()> {
        self.piece()?.behavior(line, row)
    }
}
