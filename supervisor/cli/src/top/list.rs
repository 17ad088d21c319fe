//! One of the two tables, and where its reader is in it.

use super::table::{Column, Row};

#[derive(Debug)]
pub struct List<R> {
    pub rows: Vec<R>,
    /// By name, so that it stays where rows move.
    selected: Option<String>,
    /// By which it is sorted; `None`: by name.
    column: Option<usize>,
    is_reversed: bool,
}

impl<R: Row> List<R> {
    /// Sorted by the column with that title.
    pub fn new(title: &str) -> Self {
        let column = R::COLUMNS.iter().position(|column| column.title == title);
        Self { rows: vec![], selected: None, column, is_reversed: false }
    }

    /// What the filter lets through, in order.
    pub fn visible(&self, filter: &str) -> Vec<&R> {
        let filter = filter.to_lowercase();
        let mut rows: Vec<_> =
            self.rows.iter().filter(|row| row.name().to_lowercase().contains(&filter)).collect();
        rows.sort_by(|a, b| {
            let order =
                self.sorting().map_or(std::cmp::Ordering::Equal, |column| (column.order)(a, b));
            let order = order.then_with(|| a.name().cmp(b.name()));
            if self.is_reversed { order.reverse() } else { order }
        });
        rows
    }

    /// The place of the selected one among these; the first where it is not there.
    pub fn place(&self, visible: &[&R]) -> usize {
        let place = visible.iter().position(|row| Some(row.name()) == self.selected.as_deref());
        place.unwrap_or(0)
    }

    pub fn selected(&self, filter: &str) -> Option<&R> {
        let visible = self.visible(filter);
        visible.get(self.place(&visible)).copied()
    }

    /// To another place, as far as there is one.
    pub fn move_by(&mut self, places: isize, filter: &str) {
        let visible = self.visible(filter);
        let last = visible.len().saturating_sub(1);
        let place = self.place(&visible).saturating_add_signed(places).min(last);
        self.selected = visible.get(place).map(|row| row.name().to_owned());
    }

    /// By the next column, or the one before; that of the names is the first and follows the last.
    pub fn sort_by_next(&mut self, forwards: bool) {
        let last = R::COLUMNS.len().checked_sub(1);
        self.column = match (self.column, forwards) {
            (None, true) => last.map(|_| 0),
            (None, false) => last,
            (Some(column), true) => Some(column + 1).filter(|next| *next < R::COLUMNS.len()),
            (Some(column), false) => column.checked_sub(1),
        };
        self.is_reversed = false;
    }

    pub fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
    }

    /// In words.
    pub fn order(&self) -> String {
        let title = self.sorting().map_or("NAME", |column| column.title);
        format!("{title}{}", if self.is_reversed { " reversed" } else { "" })
    }

    fn sorting(&self) -> Option<&'static Column<R>> {
        R::COLUMNS.get(self.column?)
    }
}
